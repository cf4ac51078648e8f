"""Thousands of subscribers, on one thread: WebSockets that speak graphql-transport-ws, and note what they receive.

An event's title is `n` and the moment of its publication, in nanoseconds of this machine's monotonic clock: so its
receipt says how long it took.
"""

import asyncio
import json
import re
import time
from collections.abc import Sequence
from typing import cast

STAMP = re.compile(rb'"n(\d{9,})"')
AT_ONCE = 64
"""Connections that are being opened."""
PATIENCE = 20
"""Seconds that one may take to subscribe."""
TEXT, PING, PONG = 1, 9, 10


def frame(code: int, payload: bytes) -> bytes:
    """Masked by zeros: that is allowed, and changes nothing."""
    size = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2)
    return bytes([0x80 | code]) + size + bytes(4) + payload


def handshake(port: int, headers: str) -> bytes:
    return (
        f"GET /graphql/ HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
        f"Sec-WebSocket-Protocol: graphql-transport-ws\r\n{headers}\r\n\r\n"
    ).encode()


class Crowd:
    """Subscriber 7 is user 7."""

    def __init__(self, port: int, subscription: str, headers: Sequence[str], greets: bool) -> None:
        """`greets`: the first message is the sign of life. Else it is the answer to a `ping`."""
        self.port = port
        self.headers = headers
        subscribe = json.dumps({"id": "1", "type": "subscribe", "payload": {"query": subscription}})
        self.subscribe = frame(TEXT, subscribe.encode()) + (b"" if greets else frame(TEXT, b'{"type":"ping"}'))
        self.sign_of_life = b'"next"' if greets else b'"pong"'
        self.receipts: list[tuple[int, int, int]] = []
        """When it was published, by whom it was received, and when."""
        self._subscribers: list[Subscriber] = []

    async def open(self, count: int) -> int:
        """Returns how many came to those that there were, when all of them are subscribed."""
        slots, before = asyncio.Semaphore(AT_ONCE), len(self._subscribers)

        async def one(number: int) -> None:
            async with slots, asyncio.timeout(PATIENCE):
                await asyncio.get_running_loop().create_connection(
                    lambda: self._subscribers[number], "127.0.0.1", self.port
                )
                await self._subscribers[number].live

        self._subscribers += [Subscriber(self, number) for number in range(before, count)]
        await asyncio.gather(*map(one, range(before, count)))
        return count - before

    async def collect(self, count: int, patience: float) -> list[tuple[int, int, int]]:
        """What was received since the last time. Waits for so many, or until for so many seconds nothing came."""
        deadline, before = time.monotonic() + patience, len(self.receipts)
        while len(self.receipts) < count and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
            if len(self.receipts) > before:
                deadline, before = time.monotonic() + patience, len(self.receipts)
        received, self.receipts = self.receipts, []
        return received


class Subscriber(asyncio.Protocol):
    transport: asyncio.Transport

    def __init__(self, crowd: Crowd, number: int) -> None:
        self.live: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._crowd = crowd
        self._number = number
        self._upgraded = False
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.write(handshake(self._crowd.port, self._crowd.headers[self._number]))

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(f"hung up: {error!r}")

    def data_received(self, data: bytes) -> None:
        now, self._rest = time.monotonic_ns(), self._rest + data
        if not self._upgraded:
            head, complete, rest = self._rest.partition(b"\r\n\r\n")
            if not complete:
                return
            if not head.startswith(b"HTTP/1.1 101"):
                self._fail(head.decode())
                return
            self._upgraded, self._rest = True, rest
            self._send(b'{"type":"connection_init"}')
        while received := self._next_frame():
            self._hear(*received, now)

    def _next_frame(self) -> tuple[int, bytes] | None:
        """None while it is not complete."""
        data = self._rest
        if len(data) < 2:
            return None
        size, begin = data[1], 2
        if size >= 126:
            begin = 4 if size == 126 else 10
            size = int.from_bytes(data[2:begin])
        if len(data) < begin + size:
            return None
        self._rest = data[begin + size :]
        return data[0] & 15, data[begin : begin + size]

    def _hear(self, code: int, payload: bytes, now: int) -> None:
        if stamps := STAMP.findall(payload):
            self._crowd.receipts.extend((int(stamp), self._number, now) for stamp in stamps)
        elif code == PING:
            self.transport.write(frame(PONG, payload))
        elif b'"connection_ack"' in payload:
            self.transport.write(self._crowd.subscribe)
        elif b'"ping"' in payload:
            self._send(b'{"type":"pong"}')
        elif code != TEXT or self._crowd.sign_of_life not in payload or b'"errors"' in payload:
            self._fail(f"{code} {payload.decode(errors='replace')}")
        elif not self.live.done():
            self.live.set_result(None)

    def _send(self, message: bytes) -> None:
        self.transport.write(frame(TEXT, message))

    def _fail(self, why: str) -> None:
        """Whoever is live already loses what comes from now on, and that is counted."""
        if not self.live.done():
            self.live.set_exception(AssertionError(f"Subscriber {self._number}: {why}"))
        self.transport.abort()
