from typing import Any

from apps.notifications.kinds import Announcement
from apps.notifications.services import anotify
from tests.conftest import ApiFor, User

PREFERENCES = "{ notificationPreferences { kind label channel enabled locked } }"
SET_PREFERENCE = """mutation ($kind: String!, $channel: NotificationChannel!, $enabled: Boolean!) {
    setNotificationPreference(input: { kind: $kind, channel: $channel, enabled: $enabled }) {
        ... on NotificationPreference { kind label channel enabled locked }
        ... on OperationInfo { messages { field code } }
    }
}"""
ANNOUNCEMENTS = {
    "kind": "notifications.announcement",
    "label": "Announcements",
    "channel": "IN_APP",
    "enabled": True,
    "locked": False,
}


async def test_it_works(api: ApiFor, alice: User, bob: User) -> None:
    client = await api(alice)
    assert ANNOUNCEMENTS in (await client.data(PREFERENCES))["notificationPreferences"]
    off = ANNOUNCEMENTS | {"enabled": False}
    choice = {"kind": Announcement.code, "channel": "IN_APP", "enabled": False}
    assert await client.data(SET_PREFERENCE, **choice) == {"setNotificationPreference": off}
    assert off in (await client.data(PREFERENCES))["notificationPreferences"]
    assert ANNOUNCEMENTS in (await (await api(bob)).data(PREFERENCES))["notificationPreferences"]
    assert await anotify([alice, bob], Announcement("Hello")) == 1


async def refusal(api: ApiFor, user: User, **choice: Any) -> Any:
    return (await (await api(user)).data(SET_PREFERENCE, **choice))["setNotificationPreference"]["messages"]


async def test_an_unknown_kind_is_refused(api: ApiFor, alice: User) -> None:
    messages = await refusal(api, alice, kind="no.such", channel="IN_APP", enabled=False)
    assert messages == [{"field": "kind", "code": "unknown_kind"}]


async def test_a_channel_that_it_does_not_have_is_refused(api: ApiFor, alice: User) -> None:
    messages = await refusal(api, alice, kind=Announcement.code, channel="EMAIL", enabled=True)
    assert messages == [{"field": "channel", "code": "unknown_channel"}]


async def test_a_visitor_is_refused(api: ApiFor, transactional_db: None) -> None:
    client = await api()
    assert (await client.ask(PREFERENCES)).codes == ["UNAUTHENTICATED"]
    choice = {"kind": Announcement.code, "channel": "IN_APP", "enabled": False}
    assert (await client.ask(SET_PREFERENCE, **choice)).codes == ["UNAUTHENTICATED"]
