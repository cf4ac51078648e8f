"""Each event of a subscription is what the plain path would make of it, and executes no operation."""

from typing import Any

import pytest
from graphql.execution import executor
from graphql.type.scalars import GRAPHQL_MAX_INT

from apps.notifications.kinds import Announcement
from apps.notifications.models import Inbox, Notification
from apps.notifications.services import anotify
from config.graphql.events import EventsExecutor
from tests.clients import Socket
from tests.conftest import SocketFor, User

DOCUMENT = """subscription ($size: AvatarSize!, $short: Boolean!) { change: inboxChanged {
    sequence unreadCount hasMore notifications {
        __typename id sequence kind title text: body @skip(if: $short) url data createdAt readAt archivedAt
        ... on Notification { actor { id displayName bio avatar { url(size: $size) } } }
    }
} }"""


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The operations that are."""
    done: list[Any] = []
    execute_operation = executor.Executor.execute_operation

    def execute(self: Any, *arguments: Any) -> Any:
        done.append(self)
        return execute_operation(self, *arguments)

    monkeypatch.setattr(executor.Executor, "execute_operation", execute)
    return done


async def told(client: Socket, alice: User, bob: User) -> list[Any]:
    """What the client is told of the same things each time."""
    await Notification.objects.all().adelete()
    await Inbox.objects.all().aupdate(sequence=0, unread=0)
    await client.subscribe(DOCUMENT, size="SMALL", short=True)
    events = [await client.next()]
    for kind, actor in [(Announcement("One", "two", "/three/"), bob), (Announcement("Four"), None)]:
        await anotify([alice], kind, actor=actor)
        events.append(await client.next())
    for event in events:
        for notification in event["change"]["notifications"]:
            assert notification.pop("id")
            assert notification.pop("createdAt")
    return events


async def test_it_works(
    socket: SocketFor, alice: User, bob: User, executed: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await socket(alice)
    compiled = await told(client, alice, bob)
    assert len(executed) == 1  # at which it is compiled
    assert compiled[1]["change"]["notifications"][0]["actor"]["displayName"] == "Bob"
    assert "text" not in compiled[1]["change"]["notifications"][0]

    monkeypatch.delattr(EventsExecutor, "build_per_event_executor")
    client = await socket(alice)
    assert await told(client, alice, bob) == compiled
    assert len(executed) == 4


async def test_what_is_wrong_with_one_event(socket: SocketFor, alice: User, executed: list[Any]) -> None:
    await anotify([alice], Announcement("One"))
    client = await socket(alice)
    await client.subscribe("subscription { inboxChanged { sequence unreadCount } }")
    assert await client.next() == {"inboxChanged": {"sequence": 1, "unreadCount": 1}}
    await Inbox.objects.aupdate(unread=GRAPHQL_MAX_INT)
    await anotify([alice], Announcement("Two"))
    message = await client.receive_json_from()
    assert message["type"] == "next"
    assert [error["path"] for error in message["payload"]["errors"]] == [["inboxChanged", "unreadCount"]]
    assert len(executed) == 2

    await Inbox.objects.aupdate(unread=0)
    await anotify([alice], Announcement("Three"))
    assert await client.next() == {"inboxChanged": {"sequence": 3, "unreadCount": 1}}
    assert len(executed) == 2
