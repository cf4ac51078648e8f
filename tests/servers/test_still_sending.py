"""A client that is still sending when its socket is closed is told why, and not merely cut off, on every server.

A server that closes the connection before it has read what is on its way makes the kernel send an RST, and the client
may lose the close frame by it.
"""

import asyncio
from collections.abc import Iterable
from contextlib import closing, suppress
from itertools import chain, cycle
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from tests.clients import session_cookies
from tests.conftest import User
from tests.servers.clients import ended, say, websocket
from tests.servers.conftest import Served
from tests.servers.test_websocket import INIT, MAX_MESSAGE, PING, PONG
from tests.site.test_floods import RawSocket

pytestmark = [pytest.mark.servers, pytest.mark.alone]  # a server is patient for a second

TOO_LARGE = PING | {"payload": {"": "x" * MAX_MESSAGE}}
FLOODS: dict[str, tuple[int, list[Any]]] = {
    "many messages": (4429, [PING] * 2_000),
    "answers that nobody asked for": (4429, [PONG] * 2_000),
    "a large message and many more": (4400, [TOO_LARGE, *[PING] * 2_000]),
    "large messages": (4400, [TOO_LARGE] * 20),
}


@pytest.mark.parametrize("flood", FLOODS)
async def test_all_at_once(served: Served, alice: User, flood: str) -> None:
    """It reads nothing before it has sent all of it."""
    code, messages = FLOODS[flood]
    cookies = await sync_to_async(session_cookies)(alice)

    def send_and_read() -> int | None:
        with closing(RawSocket(served, cookies)) as client:
            with suppress(ConnectionError):  # where the server is so slow that its patience ends first
                client.send([INIT, *messages])
            return client.close_code()

    assert await asyncio.to_thread(send_and_read) == code


async def say_and_hear(socket: ClientConnection, messages: Iterable[Any]) -> int | None:
    """Reads and sends at the same time, and stops when it is told with which code the socket is closed."""

    async def say_all() -> None:
        with suppress(ConnectionClosed):
            for message in messages:
                await say(socket, message)
                await asyncio.sleep(0)  # sending alone would not let anything be read

    saying = asyncio.create_task(say_all())
    code = await ended(socket)
    await saying
    return code


@pytest.mark.parametrize("flood", FLOODS)
async def test_a_burst(served: Served, alice: User, flood: str) -> None:
    code, messages = FLOODS[flood]
    async with asyncio.timeout(30), await websocket(served, alice) as socket:
        assert await say_and_hear(socket, [INIT, *messages]) == code


@pytest.mark.parametrize("flood", FLOODS)
async def test_on_and_on(served: Served, alice: User, flood: str) -> None:
    code, messages = FLOODS[flood]
    async with asyncio.timeout(30), await websocket(served, alice) as socket:
        heard = await say_and_hear(socket, chain([INIT], cycle(messages)))
    if heard == 1006 and served.name == "granian":
        pytest.xfail("Granian (2.8.7) cuts the connection together with its close, whatever is still coming.")
    assert heard == code


def send_for_ever(client: RawSocket) -> None:
    while True:
        client.send([PING] * 1_000)


def test_who_never_stops(served: Served, alice: User) -> None:
    """It reads nothing at all, and is cut off."""
    with closing(RawSocket(served, session_cookies(alice))) as client:
        client.send([INIT])
        with pytest.raises((ConnectionResetError, BrokenPipeError)):
            send_for_ever(client)
