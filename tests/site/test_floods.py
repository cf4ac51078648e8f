"""Clients that mean harm: each loses its socket, costs a bounded amount of memory, and nobody else notices."""

import asyncio
import json
import os
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest
from asgiref.sync import sync_to_async
from websockets.client import ClientProtocol
from websockets.frames import Frame, Opcode
from websockets.typing import Origin, Subprotocol
from websockets.uri import parse_uri

from apps.notifications.kinds import Announcement
from apps.notifications.services import notify
from tests.clients import SUBPROTOCOL, session_cookies
from tests.conftest import User
from tests.processes import Server

type Cookies = dict[str, str]
type Message = dict[str, Any]

SECONDS = 30
MIB = 2**20
FLOOD_SECONDS = 3
INIT = {"type": "connection_init"}
SUBSCRIPTION = {"query": "subscription { inboxChanged { sequence } }"}
PAGE = {"query": "{ notifications(first: 100) { edges { node { title body } } } }"}

PINGS: list[Message] = [INIT, *[{"type": "ping"}] * 1_000]
CHURN: list[Message] = [
    INIT,
    *(
        message
        for number in map(str, range(500))
        for message in (
            {"id": number, "type": "subscribe", "payload": SUBSCRIPTION},
            {"id": number, "type": "complete"},
        )
    ),
]


class RawSocket:
    """A WebSocket of which nothing is read unless it is asked for."""

    def __init__(self, server: Server, cookies: Cookies, buffer: int = MIB) -> None:
        uri = parse_uri(server.websocket_url)
        self._protocol = ClientProtocol(
            uri, origin=Origin(server.url), subprotocols=[Subprotocol(SUBPROTOCOL)], max_size=None
        )
        self._socket = socket.socket()
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        self._socket.settimeout(SECONDS)
        self._socket.connect((uri.host, uri.port))
        request = self._protocol.connect()
        request.headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
        self._protocol.send_request(request)
        self._socket.sendall(b"".join(self._protocol.data_to_send()))
        while not self._protocol.events_received():
            self._protocol.receive_data(self._socket.recv(MIB))
        if self._protocol.handshake_exc:
            raise self._protocol.handshake_exc

    def send(self, messages: Sequence[Message]) -> None:
        """At once. Raises `OSError` where nobody is there any more."""
        frames = [Frame(Opcode.TEXT, json.dumps(message).encode()) for message in messages]
        self._socket.sendall(b"".join(frame.serialize(mask=True) for frame in frames))

    def close_code(self) -> int | None:
        """Reads, and keeps nothing of it, until the server closes."""
        while self._protocol.close_rcvd is None and (data := self._socket.recv(MIB)):
            self._protocol.receive_data(data)
            self._protocol.events_received()
        return self._protocol.close_rcvd.code if self._protocol.close_rcvd else None

    def close(self) -> None:
        self._socket.close()


def resident(server: Server) -> int:
    """Bytes of memory that the process holds."""
    return int(Path(f"/proc/{server.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def read_nothing(server: Server, cookies: Cookies) -> int:
    """Asks for the largest page until nobody is there any more. Returns what memory that took in the worst moment."""
    before = worst = resident(server)
    with closing(RawSocket(server, cookies, buffer=4_096)) as client:
        client.send([INIT, {"id": "inbox", "type": "subscribe", "payload": SUBSCRIPTION}])
        deadline = time.monotonic() + SECONDS
        number = 0
        while time.monotonic() < deadline:
            number += 1
            try:
                client.send([{"id": str(number), "type": "subscribe", "payload": PAGE}])
            except (ConnectionResetError, BrokenPipeError):
                return worst - before
            worst = max(worst, resident(server))
    pytest.fail("The socket was not closed.")


def flood(server: Server, cookies: Cookies, messages: Sequence[Message], enough: Event) -> list[int | None]:
    """A thousand messages at once, up to five times a second. Returns with which codes the sockets were closed."""
    codes = []
    while not enough.wait(0.2):
        with closing(RawSocket(server, cookies)) as client:
            client.send(messages)
            codes.append(client.close_code())
    return codes


async def test_who_does_not_read(start_server: Callable[..., Server], alice: User, bob: User) -> None:
    def fill() -> None:
        for number in range(100):
            notify([alice], Announcement(f"Number {number}", body="x" * 2_000))

    await sync_to_async(fill)()
    server = await sync_to_async(start_server)()
    cookies = await sync_to_async(session_cookies)(alice)
    async with httpx.AsyncClient(base_url=server.url, cookies=cookies) as client:  # so that all is loaded
        await client.post("/graphql/")
        headers = {"X-CSRFToken": client.cookies["csrftoken"]}
        answer = await client.post("/graphql/", headers=headers, json=PAGE)
        assert len(answer.content) > 200_000

    grown = await asyncio.gather(*(asyncio.to_thread(read_nothing, server, cookies) for _ in range(4)))

    assert max(grown) < 64 * MIB


@pytest.mark.alone
async def test_others_do_not_notice(start_server: Callable[..., Server], alice: User, bob: User) -> None:
    server = await sync_to_async(start_server)()
    theirs, ours = [await sync_to_async(session_cookies)(user) for user in (alice, bob)]
    enough = Event()
    seconds: list[float] = []
    async with httpx.AsyncClient(base_url=server.url, cookies=ours) as client:
        await client.post("/graphql/")
        headers = {"X-CSRFToken": client.cookies["csrftoken"]}
        floods = [
            asyncio.create_task(asyncio.to_thread(flood, server, theirs, messages, enough))
            for messages in (PINGS, CHURN)
        ]
        try:
            until = time.monotonic() + FLOOD_SECONDS
            while time.monotonic() < until:
                for ask in (
                    client.post("/graphql/", headers=headers, json={"query": "{ unreadCount }"}),
                    client.get("/health/live/"),
                ):
                    began = time.monotonic()
                    answer = await ask
                    seconds.append(time.monotonic() - began)
                    assert answer.status_code == 200
        finally:
            enough.set()
            codes = await asyncio.gather(*floods)

    for each in codes:
        assert set(each) == {4429}
    seconds.sort()
    assert seconds[len(seconds) * 99 // 100] < 1
