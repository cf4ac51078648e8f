"""Followers: programs that stay. Whatever ends their connection, they come back with their cursor, and log it all."""

import asyncio
import json
import random
import select
import socket
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from itertools import cycle
from typing import Any
from urllib.parse import urlsplit

from websockets import Subprotocol
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from tests.clients import SUBPROTOCOL

SUBSCRIPTION = """subscription ($after: Int) { inboxChanged(after: $after) {
    sequence unreadCount hasMore notifications { id sequence title readAt archivedAt %s }
} }"""
MUTATION = "mutation ($ids: [ID!]!) { %s(ids: $ids) { __typename } }"
MUTATIONS = ("markNotificationsRead", "markNotificationsUnread", "archiveNotifications")

ABNORMAL = 1006
"""A connection ended without a close frame."""


class Follower:
    """One client of one user. `events` is its log, `position` the highest sequence that it received."""

    fields = ""

    def __init__(self, name: str, user: int, headers: dict[str, str], urls: Sequence[str], after: int) -> None:
        self.name = name
        self.user = user
        self.position = after
        self.frames = 0
        self.events: list[dict[str, Any]] = []
        self._headers = headers
        self._urls = cycle(urls)
        self._held: deque[str] = deque(maxlen=20)  # ids
        self._socket: ClientConnection | None = None
        self._mutations = 0
        self.unanswered: set[str] = set()  # mutations

    async def follow(self) -> None:
        """For ever, at one web process after the other. Each comes at a moment of its own, and never all at once."""
        for url in self._urls:
            await asyncio.sleep(random.uniform(0, 1))
            with suppress(OSError, WebSocketException):
                await self._connection(url)

    def options(self, url: str) -> dict[str, Any]:
        """Silence ends a connection in five seconds. Not compressed: it is not what is tried here."""
        return {"ping_interval": 2, "ping_timeout": 3, "close_timeout": 1, "open_timeout": 5, "compression": None}

    async def _connection(self, url: str) -> None:
        connecting = connect(
            url,
            subprotocols=[Subprotocol(SUBPROTOCOL)],
            additional_headers=self._headers,
            proxy=None,
            **self.options(url),
        )
        async with connecting as connection:
            await connection.send(json.dumps({"type": "connection_init"}))
            async with asyncio.timeout(5):
                acknowledged = json.loads(await connection.recv())
            assert acknowledged == {"type": "connection_ack"}, acknowledged
            try:
                await self._subscribe(connection)
                self._socket = connection
                await self._receive(connection)
            finally:
                self._socket = None
                self.unanswered.clear()
                with suppress(ConnectionClosed):
                    await connection.close()
                self._note("closed", code=connection.close_code or ABNORMAL)

    async def _subscribe(self, connection: ClientConnection) -> None:
        self._note("subscribe", after=self.position)
        payload = {"query": SUBSCRIPTION % self.fields, "variables": {"after": self.position}}
        await connection.send(json.dumps({"id": "1", "type": "subscribe", "payload": payload}))

    async def _receive(self, connection: ClientConnection) -> None:
        """Until the connection ends, or the subscription does."""
        async for text in connection:
            message = json.loads(text)
            if message["type"] == "ping":
                await connection.send(json.dumps({"type": "pong"}))
            elif message.get("id") in self.unanswered and message["type"] != "next":
                self.unanswered.remove(message["id"])
            elif message.get("id") == "1":
                self._note("frame", message=message)
                if message["type"] != "next" or "errors" in message["payload"]:
                    return
                change = message["payload"]["data"]["inboxChanged"]
                self.position = max(self.position, change["sequence"])
                self.frames += 1
                self._held.extend(one["id"] for one in change["notifications"])

    async def mutate(self) -> None:
        """Changes up to three of the notifications that it holds. What comes of it, only the database can tell."""
        if self._socket is None or not self._held:
            return
        self._mutations += 1
        operation = f"mutation {self._mutations}"
        ids = random.choices(self._held, k=random.randint(1, 3))
        payload = {"query": MUTATION % random.choice(MUTATIONS), "variables": {"ids": ids}}
        self.unanswered.add(operation)
        with suppress(ConnectionClosed):
            await self._socket.send(json.dumps({"id": operation, "type": "subscribe", "payload": payload}))

    def drop(self) -> None:
        """Loses its connection, and comes back."""
        if self._socket is not None:
            self._socket.transport.abort()

    def _note(self, event: str, **details: Any) -> None:
        self.events.append({"event": event, **details, "at": time.monotonic()})

    def log(self, before: float) -> dict[str, Any]:
        return {"client": self.name, "user": self.user, "events": [each for each in self.events if each["at"] < before]}

    def closes(self, since: float) -> list[int]:
        """With which codes its connections ended."""
        return [each["code"] for each in self.events if each["event"] == "closed" and each["at"] >= since]


class StoppedReader(Follower):
    """On its first connection it subscribes and reads nothing, until the server gives up. Then it is as any other."""

    fields = "body"
    dropped_at: float | None = None

    def options(self, url: str) -> dict[str, Any]:
        options = super().options(url)
        if self.dropped_at is None:
            # The WebSocket library leaves what comes in the kernel's buffer when its own holds a frame.
            options |= {"sock": small_socket(url), "max_queue": 1, "ping_interval": None}
        return options

    async def _receive(self, connection: ClientConnection) -> None:
        if self.dropped_at is None:
            while not has_ended(connection):
                await asyncio.sleep(0.1)
            self.dropped_at = time.monotonic()
            connection.transport.abort()
        await super()._receive(connection)


def small_socket(url: str) -> socket.socket:
    """Connected, and with hardly any room for what is not read."""
    address = urlsplit(url)
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect((address.hostname, address.port))
    connection.setblocking(False)
    return connection


def has_ended(connection: ClientConnection) -> bool:
    """Whether the server closed or reset it; asks the kernel, without reading."""
    poll = select.poll()
    poll.register(connection.transport.get_extra_info("socket"), select.POLLRDHUP)
    return bool(poll.poll(0))
