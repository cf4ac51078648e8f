"""A client that does not read costs a window of memory at most, and loses its place; others do not notice."""

import asyncio
from typing import Any

import pytest

from apps.notifications.kinds import Announcement
from apps.notifications.services import anotify
from config.graphql import flow
from tests.clients import Socket
from tests.conftest import SocketFor, User

INBOX_CHANGED = "subscription { inboxChanged { sequence notifications { title body } } }"
BODY = "x" * 5_000
ENOUGH = 2 * flow.WINDOW // len(BODY)
"""Notifications that are more than a window lets through."""


async def subscribe(client: Socket) -> None:
    await client.subscribe(INBOX_CHANGED)
    await client.next()


async def fill(client: Socket, user: User) -> list[Any]:
    """What comes, one change after the other, until no more does though there is more."""
    messages: list[Any] = []
    while True:
        await anotify([user], Announcement("Hello", body=BODY))
        arrived = False
        while not arrived:
            if await client.receive_nothing(timeout=2):
                return messages
            messages.append(await client.receive_json_from())
            arrived = messages[-1]["type"] == "next"


@pytest.mark.alone  # and so quick enough for `fill`
async def test_it_works(socket: SocketFor, alice: User) -> None:
    client = await socket(alice)
    await subscribe(client)
    messages = await fill(client, alice)
    assert sum(len(str(message)) for message in messages) == pytest.approx(flow.WINDOW, abs=len(BODY) * 2)
    assert [message["type"] for message in messages].count("ping") == 1

    await client.send_json_to({"type": "pong"})

    position = messages[-1]["payload"]["data"]["inboxChanged"]["sequence"]
    change = (await client.next())["inboxChanged"]
    assert change["sequence"] == position + len(change["notifications"]) == position + 1


async def test_who_never_answers_is_dropped(
    socket: SocketFor, alice: User, bob: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "PATIENCE_SECONDS", 0.2)
    client, other = await socket(alice), await socket(bob)
    await subscribe(client)
    await subscribe(other)
    output: dict[str, Any] = {"type": "websocket.send"}
    async with asyncio.timeout(10):
        while output["type"] == "websocket.send":  # one by one: what comes together is one message, as large as it is
            await anotify([alice], Announcement("Hello", body=BODY))
            output = await client.receive_output(5)
    assert (output["type"], output["code"]) == ("websocket.close", 4408)
    await anotify([alice, bob], Announcement("Hello again"))
    assert (await other.next())["inboxChanged"]["sequence"] == 1
    assert await client.receive_nothing()


async def test_who_answers_is_never_waited_for(socket: SocketFor, alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow, "PATIENCE_SECONDS", 0)
    client = await socket(alice)
    await subscribe(client)
    position = 0
    for number in range(1, 3 * ENOUGH):
        await anotify([alice], Announcement("Hello", body=BODY))
        while position < number:
            message = await client.receive_json_from()
            if message["type"] == "ping":
                await client.send_json_to({"type": "pong"})
            else:
                position = message["payload"]["data"]["inboxChanged"]["sequence"]


@pytest.mark.alone
async def test_a_pong_that_nobody_asked_for_means_nothing(socket: SocketFor, alice: User) -> None:
    client = await socket(alice)
    await subscribe(client)
    for _ in range(10):
        await client.send_json_to({"type": "pong"})
    await client.send_json_to({"type": "ping"})
    assert await client.receive_json_from() == {"type": "pong"}  # they have been read
    messages = await fill(client, alice)
    assert sum(len(str(message)) for message in messages) < flow.WINDOW + len(BODY) * 2


async def test_who_asks_and_never_reads_is_dropped_too(socket: SocketFor, alice: User) -> None:
    client = await socket(alice)
    for _ in range(ENOUGH):
        await client.send_json_to({"type": "ping", "payload": {"again": BODY}})
    async with asyncio.timeout(10):
        while (output := await client.receive_output(5))["type"] == "websocket.send":
            pass
    assert (output["type"], output["code"]) == ("websocket.close", 4408)
