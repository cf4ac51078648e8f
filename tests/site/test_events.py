"""Each event of a subscription is what the plain path would make of it, and executes no operation."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from typing import Any

import pytest
from graphql.execution import executor
from graphql.type.scalars import GRAPHQL_MAX_INT
from strawberry.extensions import SchemaExtension

from apps.notifications import schema as notifications
from apps.notifications.changes import InboxChange
from apps.notifications.kinds import Announcement
from apps.notifications.models import Inbox, Notification
from apps.notifications.services import anotify
from config.graphql.events import EventsExecutor
from config.schema import schema
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

    monkeypatch.setattr(EventsExecutor, "_is_watched", lambda _: True)
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


SEQUENCE = "subscription { inboxChanged { sequence } }"


@pytest.fixture(params=["compiled", "plain"])
def path(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """One test for both: what comes is the same."""
    if request.param == "plain":
        monkeypatch.setattr(EventsExecutor, "_is_watched", lambda _: True)


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch) -> "Source":
    source = Source()
    monkeypatch.setattr(notifications, "follow", source.follow)
    return source


class Source:
    """Gives three events and then does `last`."""

    def __init__(self) -> None:
        self.ends = 0
        self.last: Callable[[], Any] = lambda: None

    async def follow(self, user_id: int, after: int | None) -> AsyncGenerator[InboxChange]:
        try:
            for number in range(3):
                yield InboxChange(user_id, number, number + 1, 0, [])
            await asyncio.sleep(0)
            if waits_for := self.last():
                await waits_for
        finally:
            self.ends += 1


async def told_three(client: Socket) -> None:
    await client.subscribe(SEQUENCE)
    assert [await client.next() for _ in range(3)] == [{"inboxChanged": {"sequence": 1 + one}} for one in range(3)]


async def test_no_more_events(socket: SocketFor, alice: User, path: None, source: Source) -> None:
    client = await socket(alice)
    await told_three(client)
    assert await client.receive_json_from() == {"id": "1", "type": "complete"}
    assert source.ends == 1


async def test_a_source_that_breaks(socket: SocketFor, alice: User, path: None, source: Source) -> None:
    def fail() -> None:
        raise RuntimeError("secret")

    source.last = fail
    client = await socket(alice)
    await told_three(client)
    message = await client.receive_json_from()
    assert message["type"] == "next"
    assert message["payload"]["data"] is None
    [error] = message["payload"]["errors"]
    assert (error["message"], error["extensions"]["code"]) == ("Internal error.", "INTERNAL_ERROR")
    assert await client.receive_json_from() == {"id": "1", "type": "complete"}
    assert source.ends == 1


@pytest.mark.parametrize("leaves", [True, False])
async def test_the_source_is_closed(socket: SocketFor, alice: User, path: None, source: Source, leaves: bool) -> None:
    source.last = asyncio.Event().wait
    client = await socket(alice)
    await told_three(client)
    if leaves:
        await client.disconnect()
    else:
        await client.send_json_to({"id": "1", "type": "complete"})
    async with asyncio.timeout(5):
        while not source.ends:
            await asyncio.sleep(0)
    assert source.ends == 1


async def test_two_at_once_on_a_socket(socket: SocketFor, alice: User, path: None) -> None:
    client = await socket(alice)
    for selection in ("sequence", "unreadCount"):
        await client.subscribe(f"subscription {{ inboxChanged {{ {selection} }} }}")
        await client.next()
    for number in range(1, 4):
        await anotify([alice], Announcement("Hello"))
        messages = [await client.receive_json_from() for _ in range(2)]
        assert {message["id"]: message["payload"]["data"]["inboxChanged"] for message in messages} == {
            "1": {"sequence": number},
            "2": {"unreadCount": number},
        }


async def test_an_extension_that_sees_results_sees_them_all(
    socket: SocketFor, alice: User, source: Source, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    class Seeing(SchemaExtension):
        def on_stream_result(self, result: Any) -> Iterator[None]:
            seen.append(result.data)
            yield

    monkeypatch.setattr(schema, "extensions", [*schema.extensions, Seeing])
    client = await socket(alice)
    await told_three(client)
    assert seen == [{"inboxChanged": {"sequence": 1 + one}} for one in range(3)]
