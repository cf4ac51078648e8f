"""WebSockets over the wire, on every server."""

import asyncio
import json
from contextlib import suppress
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from websockets.exceptions import ConnectionClosed

from apps.accounts.models import Session
from apps.notifications.kinds import Announcement
from apps.notifications.services import anotify, notify
from tests.conftest import User
from tests.processes import manage
from tests.servers.clients import ended, hear, say, websocket
from tests.servers.conftest import Served

pytestmark = pytest.mark.servers

type Turns = list[Any]

INIT = {"type": "connection_init"}
ACK = {"type": "connection_ack"}
PING, PONG = {"type": "ping"}, {"type": "pong"}
SUBSCRIPTION = "subscription { inboxChanged { sequence notifications { title } } }"
QUERY = "{ me { email } }"
ALL = "{ notifications(first: 100) { edges { node { title body } } } }"
MAX_MESSAGE = 64 * 1024


def subscribe(query: str, id: str = "1") -> dict[str, Any]:
    return {"id": id, "type": "subscribe", "payload": {"query": query}}


async def test_it_works(served: Served, alice: User) -> None:
    async with asyncio.timeout(30), await websocket(served, alice) as socket:
        await say(socket, INIT, subscribe(SUBSCRIPTION))
        assert await hear(socket) == ACK
        assert (await hear(socket))["payload"]["data"]["inboxChanged"]["notifications"] == []

        await sync_to_async(manage)("notify", alice.email, "--title", "Hello")
        change = (await hear(socket))["payload"]["data"]["inboxChanged"]
        assert change == {"sequence": 1, "notifications": [{"title": "Hello"}]}

        await say(socket, {"id": "1", "type": "complete"}, PING)
        assert await hear(socket) == PONG
        await anotify([alice], Announcement("Nobody hears this"))

        await say(socket, subscribe(QUERY, "2"))
        answer = {"id": "2", "type": "next", "payload": {"data": {"me": {"email": alice.email}}}}
        assert [await hear(socket), await hear(socket)] == [answer, {"id": "2", "type": "complete"}]
    assert socket.close_code == 1000


def fill(inbox_of: User) -> None:
    for number in range(100):
        notify([inbox_of], Announcement(f"Number {number}", body="x" * 2_000))


async def test_large_messages(served: Served, alice: User) -> None:
    await sync_to_async(fill)(alice)
    async with asyncio.timeout(30), await websocket(served, alice) as socket:
        await say(socket, INIT, json.dumps(PING).ljust(MAX_MESSAGE))
        assert [await hear(socket), await hear(socket)] == [ACK, PONG]

        await say(socket, subscribe(ALL))
        text = await socket.recv()
        assert len(text) > 3 * MAX_MESSAGE
        assert len(json.loads(text)["payload"]["data"]["notifications"]["edges"]) == 100

        await say(socket, json.dumps(PING).ljust(MAX_MESSAGE + 1))
        assert await ended(socket) == 4400


CLOSES: dict[str, tuple[int, Turns]] = {
    "garbage": (4400, ["{"]),
    "binary": (4400, [b"{}"]),
    "garbage after a subscription": (4400, [INIT, subscribe(SUBSCRIPTION), "[]"]),
    "subscribe at once": (4401, [subscribe(QUERY)]),
    "an id twice": (4409, [INIT, subscribe(SUBSCRIPTION), subscribe(SUBSCRIPTION)]),
    "init twice": (4429, [INIT, INIT]),
}


@pytest.mark.parametrize("case", CLOSES)
async def test_close_codes(served: Served, alice: User, case: str) -> None:
    code, messages = CLOSES[case]
    async with asyncio.timeout(30), await websocket(served, alice) as socket:
        with suppress(ConnectionError):
            await say(socket, *messages)
        assert await ended(socket) == code
        assert bool(socket.close_reason) == (served.name != "daphne")


async def test_another_protocol(served: Served, alice: User) -> None:
    async with asyncio.timeout(30), await websocket(served, alice, protocol="graphql-ws") as socket:
        assert await ended(socket) == 4406


async def test_a_visitor(served: Served, transactional_db: None) -> None:
    async with asyncio.timeout(30), await websocket(served, None) as socket:
        await say(socket, INIT)
        assert await ended(socket) == 4403


async def test_a_session_that_ends(served: Served, alice: User) -> None:
    async with asyncio.timeout(30), await websocket(served, alice) as socket:
        await say(socket, INIT, subscribe(SUBSCRIPTION))
        assert await hear(socket) == ACK
        await Session.objects.all().adelete()
        assert await ended(socket) == 4403


async def test_who_asks_and_never_answers(served: Served, alice: User) -> None:
    """The server has a `ping` of its own among the answers. No window is left after 64 KiB without a `pong`."""
    async with asyncio.timeout(30), await websocket(served, alice) as socket:
        await say(socket, INIT)
        with suppress(ConnectionClosed):
            while True:  # one by one: who closes on what it has not read sends an RST, and that can overtake the close
                await say(socket, PING | {"payload": {"again": "x" * 5_000}})
                while (await hear(socket))["type"] != "pong":
                    pass
        assert socket.close_code == 4408
