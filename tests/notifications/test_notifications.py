import pytest

from apps.notifications.kinds import Announcement
from apps.notifications.models import Notification
from apps.notifications.services import aarchive, amark_read, anotify
from tests.conftest import ApiFor, User

NOTIFICATIONS = """query ($first: Int, $after: String, $state: NotificationState! = CURRENT) {
    notifications(first: $first, after: $after, state: $state) {
        sequence
        edges { cursor node { id title body url kind data actor { displayName } createdAt readAt archivedAt } }
        pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    }
}"""


async def fill(user: User, count: int) -> None:
    for number in range(count):
        await anotify([user], Announcement(str(number)))


def titles(page: dict) -> list[str]:
    return [edge["node"]["title"] for edge in page["edges"]]


async def test_it_works(api: ApiFor, alice: User, bob: User) -> None:
    await anotify([alice], Announcement("Hello", "How are you?", "/settings/"), actor=bob)
    page = (await (await api(alice)).data(NOTIFICATIONS))["notifications"]
    [edge] = page["edges"]
    node = edge["node"]
    assert (node["title"], node["body"], node["url"]) == ("Hello", "How are you?", "/settings/")
    assert node["kind"] == "notifications.announcement"
    assert node["data"] == {"title": "Hello", "body": "How are you?", "url": "/settings/"}
    assert node["actor"] == {"displayName": "Bob"}
    assert node["readAt"] is node["archivedAt"] is None
    assert page["sequence"] == 1
    assert page["pageInfo"] == {
        "hasNextPage": False,
        "hasPreviousPage": False,
        "startCursor": edge["cursor"],
        "endCursor": edge["cursor"],
    }


async def test_an_empty_page_has_the_sequence_too(api: ApiFor, alice: User) -> None:
    client = await api(alice)
    assert (await client.data(NOTIFICATIONS))["notifications"]["sequence"] == 0
    await fill(alice, 2)
    assert (await client.data(NOTIFICATIONS, state="ARCHIVED"))["notifications"]["sequence"] == 2


async def test_newest_first_in_pages(api: ApiFor, alice: User) -> None:
    await fill(alice, 5)
    client = await api(alice)
    first = (await client.data(NOTIFICATIONS, first=2))["notifications"]
    assert titles(first) == ["4", "3"]
    assert first["pageInfo"]["hasNextPage"] is True
    await fill(alice, 1)  # what arrives meanwhile does not shift the pages
    second = (await client.data(NOTIFICATIONS, first=2, after=first["pageInfo"]["endCursor"]))["notifications"]
    assert titles(second) == ["2", "1"]
    assert second["pageInfo"]["hasPreviousPage"] is True
    last = (await client.data(NOTIFICATIONS, first=2, after=second["pageInfo"]["endCursor"]))["notifications"]
    assert titles(last) == ["0"]
    assert last["pageInfo"]["hasNextPage"] is False


async def test_twenty_by_default(api: ApiFor, alice: User) -> None:
    await fill(alice, 21)
    assert len((await (await api(alice)).data(NOTIFICATIONS))["notifications"]["edges"]) == 20


async def test_states(api: ApiFor, alice: User) -> None:
    await fill(alice, 3)
    read, archived, _unread = [pk async for pk in Notification.objects.order_by("pk").values_list("pk", flat=True)]
    await amark_read(alice, [read])
    await aarchive(alice, [archived])
    client = await api(alice)
    for state, expected in {"UNREAD": ["2"], "CURRENT": ["2", "0"], "ARCHIVED": ["1"], "ALL": ["2", "1", "0"]}.items():
        assert titles((await client.data(NOTIFICATIONS, state=state))["notifications"]) == expected


async def test_somebody_else_s_are_not_there(api: ApiFor, alice: User, bob: User) -> None:
    await fill(bob, 3)
    assert (await (await api(alice)).data(NOTIFICATIONS))["notifications"]["edges"] == []


@pytest.mark.parametrize("first", [0, -1, 101])
async def test_a_page_has_1_to_100(api: ApiFor, alice: User, first: int) -> None:
    answer = await (await api(alice)).ask(NOTIFICATIONS, first=first)
    assert (answer.data, answer.codes) == (None, ["BAD_USER_INPUT"])


@pytest.mark.parametrize("after", ["", "x", "aW5ib3g6MQ==", "aW5ib3gxOng=", "ü"])
async def test_a_malformed_cursor_is_refused(api: ApiFor, alice: User, after: str) -> None:
    assert (await (await api(alice)).ask(NOTIFICATIONS, after=after)).codes == ["BAD_CURSOR"]


async def test_somebody_else_s_cursor_is_refused(api: ApiFor, alice: User, bob: User) -> None:
    await fill(bob, 1)
    cursor = (await (await api(bob)).data(NOTIFICATIONS))["notifications"]["pageInfo"]["endCursor"]
    assert (await (await api(alice)).ask(NOTIFICATIONS, after=cursor)).codes == ["BAD_CURSOR"]


async def test_a_visitor_is_refused(api: ApiFor, transactional_db: None) -> None:
    assert (await (await api()).ask(NOTIFICATIONS)).codes == ["UNAUTHENTICATED"]
