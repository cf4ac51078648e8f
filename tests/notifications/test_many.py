"""Ten thousand changes in one go: each has its own number, and a subscriber gets them in pages."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from apps.notifications.changes import PAGE
from apps.notifications.models import Inbox, Notification
from apps.notifications.services import aarchive, amark_all_read, amark_unread, archive
from tests.clients import Socket
from tests.conftest import SocketFor, User

MANY = 10_000
INBOX_CHANGED = """subscription { inboxChanged {
    sequence unreadCount hasMore notifications { id sequence readAt archivedAt }
} }"""


@pytest.fixture
def ids(alice: User) -> list[int]:
    """Alice's, every second one read."""
    now = timezone.now()
    notifications = Notification.objects.bulk_create(
        Notification(
            recipient=alice,
            sequence=number,
            kind="notifications.announcement",
            data={"title": str(number)},
            read_at=None if number % 2 else now,
        )
        for number in range(1, MANY + 1)
    )
    Inbox.objects.update_or_create(user=alice, defaults={"sequence": MANY, "unread": MANY // 2})
    return [notification.pk for notification in notifications]


async def read_all(user: User, ids: list[int]) -> object:
    return await amark_all_read(user, up_to=MANY)


CHANGES = [
    pytest.param(read_all, MANY // 2, 0, id="read"),
    pytest.param(amark_unread, MANY // 2, MANY, id="unread"),
    pytest.param(aarchive, MANY, 0, id="archived"),
]


@pytest.mark.parametrize(("act", "changed", "unread"), CHANGES)
async def test_it_works(
    act: Callable[[User, list[int]], Awaitable[object]],
    changed: int,
    unread: int,
    socket: SocketFor,
    alice: User,
    ids: list[int],
) -> None:
    client = await socket(alice)
    await client.subscribe(INBOX_CHANGED)
    await client.next()
    await act(alice, ids)
    pages = [await next_change(client)]
    while pages[-1]["hasMore"]:
        pages.append(await next_change(client))
    assert all(len(page["notifications"]) <= PAGE for page in pages)
    numbers = [one["sequence"] for page in pages for one in page["notifications"]]
    assert numbers == list(range(MANY + 1, MANY + changed + 1))
    assert len({one["id"] for page in pages for one in page["notifications"]}) == changed
    assert (pages[-1]["sequence"], pages[-1]["unreadCount"]) == (MANY + changed, unread)
    inbox = await Inbox.objects.aget(user=alice)
    assert (inbox.sequence, inbox.unread) == (MANY + changed, unread)
    assert await Notification.objects.filter(recipient=alice).unread().acount() == unread


async def next_change(client: Socket) -> Any:
    """Answers for flow control on the way, as any client does."""
    while (message := await client.receive_json_from(timeout=10))["type"] == "ping":
        await client.send_json_to({"type": "pong"})
    return message["payload"]["data"]["inboxChanged"]


def test_as_many_statements_as_for_one(
    alice: User, ids: list[int], django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_max_num_queries(8):
        archive(alice, ids[:1])
    with django_assert_max_num_queries(8):
        archive(alice, ids)
