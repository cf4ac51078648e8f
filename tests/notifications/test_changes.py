"""The four mutations that change notifications: read, unread, all read, archived."""

from typing import Any

import pytest

from apps.notifications.kinds import Announcement
from apps.notifications.models import Inbox, Notification
from apps.notifications.services import anotify
from tests.clients import Api
from tests.conftest import ApiFor, User

RESULT = """
    ... on InboxUpdate { unreadCount notifications { id title sequence readAt archivedAt } }
    ... on OperationInfo { messages { code } }
"""
READ, UNREAD, ARCHIVE = (
    f"mutation ($ids: [ID!]!) {{ result: {name}(ids: $ids) {{ {RESULT} }} }}"
    for name in ("markNotificationsRead", "markNotificationsUnread", "archiveNotifications")
)
ALL_READ = f"mutation ($upTo: Int!) {{ result: markAllNotificationsRead(upTo: $upTo) {{ {RESULT} }} }}"
IDS = "{ notifications(first: 100, state: ALL) { edges { node { id } } } }"


async def fill(user: User, count: int) -> None:
    for number in range(count):
        await anotify([user], Announcement(str(number)))


async def ids_of(client: Api) -> list[str]:
    """Oldest first."""
    edges = (await client.data(IDS))["notifications"]["edges"]
    return [edge["node"]["id"] for edge in reversed(edges)]


async def change(client: Api, mutation: str, **variables: Any) -> Any:
    return (await client.data(mutation, **variables))["result"]


async def test_it_works(api: ApiFor, alice: User) -> None:
    await fill(alice, 3)
    client = await api(alice)
    ids = await ids_of(client)

    update = await change(client, READ, ids=ids[:2])
    assert update["unreadCount"] == 1
    assert [(one["title"], one["sequence"]) for one in update["notifications"]] == [("0", 4), ("1", 5)]
    assert all(one["readAt"] for one in update["notifications"])

    update = await change(client, UNREAD, ids=ids[:1])
    assert (update["unreadCount"], [one["sequence"] for one in update["notifications"]]) == (2, [6])
    assert update["notifications"][0]["readAt"] is None

    update = await change(client, ARCHIVE, ids=ids[:1])
    assert (update["unreadCount"], [one["sequence"] for one in update["notifications"]]) == (1, [7])
    assert update["notifications"][0]["archivedAt"]

    inbox = await Inbox.objects.aget(user=alice)
    assert (inbox.sequence, inbox.unread) == (7, 1)


async def test_what_is_so_already_is_no_change(api: ApiFor, alice: User) -> None:
    await fill(alice, 1)
    client = await api(alice)
    ids = await ids_of(client)
    await change(client, READ, ids=ids)
    assert await change(client, READ, ids=ids) == {"unreadCount": 0, "notifications": []}
    assert (await Inbox.objects.aget(user=alice)).sequence == 2


@pytest.mark.parametrize("mutation", [READ, UNREAD, ARCHIVE])
async def test_somebody_else_s_are_ignored_like_unknown_ones(
    api: ApiFor, alice: User, bob: User, mutation: str
) -> None:
    await fill(bob, 1)
    [foreign] = await ids_of(await api(bob))
    before = await Notification.objects.values().aget()
    client = await api(alice)
    unknown = "Tm90aWZpY2F0aW9uOjk5OTk5OTk5OTk5OTk5OTk5OTk5OTk5"  # Notification:9999…, past any key
    answers = [await change(client, mutation, ids=[one]) for one in (foreign, unknown)]
    assert answers == [{"unreadCount": 0, "notifications": []}] * 2
    assert await Notification.objects.values().aget() == before


@pytest.mark.parametrize("bad", ["", "x", "UHJvZmlsZTox"])  # the last one: Profile:1
async def test_no_id_of_a_notification(api: ApiFor, alice: User, bad: str) -> None:
    assert (await (await api(alice)).ask(READ, ids=[bad])).codes == ["BAD_USER_INPUT"]


async def test_at_most_a_thousand_ids(api: ApiFor, alice: User) -> None:
    await fill(alice, 1)
    client = await api(alice)
    [one] = await ids_of(client)
    assert (await client.ask(READ, ids=[one] * 1_001)).codes == ["BAD_USER_INPUT"]
    assert (await change(client, READ, ids=[one] * 1_000))["unreadCount"] == 0


async def test_all_read_up_to_what_was_seen(api: ApiFor, alice: User) -> None:
    await fill(alice, 3)
    client = await api(alice)
    update = await change(client, ALL_READ, upTo=2)
    assert update["unreadCount"] == 1
    assert [one["title"] for one in update["notifications"]] == ["0", "1"]


async def test_an_update_shows_at_most_a_hundred(api: ApiFor, alice: User) -> None:
    await fill(alice, 120)
    client = await api(alice)
    update = await change(client, ALL_READ, upTo=120)
    assert (update["unreadCount"], len(update["notifications"])) == (0, 100)
    numbers = Notification.objects.order_by("pk").values_list("sequence", flat=True)
    assert [number async for number in numbers] == list(range(121, 241))


async def test_nobody_has_seen_the_future(api: ApiFor, alice: User) -> None:
    await fill(alice, 1)
    client = await api(alice)
    assert (await client.ask(ALL_READ, upTo=2)).codes == ["BAD_CURSOR"]
    assert (await client.ask(ALL_READ, upTo=-1)).codes == ["BAD_CURSOR"]


async def test_a_visitor_is_refused(api: ApiFor, transactional_db: None) -> None:
    client = await api()
    for mutation in (READ, UNREAD, ARCHIVE):
        assert (await client.ask(mutation, ids=[])).codes == ["UNAUTHENTICATED"]
    assert (await client.ask(ALL_READ, upTo=0)).codes == ["UNAUTHENTICATED"]
