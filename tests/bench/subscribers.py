"""Subscribes: `python -m tests.bench.subscribers`, with a `Plan` on the first line of stdin, then commands.

Each is a line of JSON, and is answered with one. One thread, and thousands of WebSockets that speak
graphql-transport-ws. An event's title is `n` and the moment of its publication in nanoseconds of this
machine's monotonic clock, so that its receipt says how long it took.
"""

import json
import re
import select
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

STAMP = re.compile(rb'"n(\d{9,})"')
AT_ONCE = 64
"""Connections that are being opened."""
PATIENCE = 20
"""Seconds in which nothing comes of any of them."""
STDIN = 0
TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


def frame(code: int, payload: bytes) -> bytes:
    """Masked by zeros: that is allowed, and changes nothing."""
    size = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + len(payload).to_bytes(2)
    return bytes([0x80 | code]) + size + bytes(4) + payload


INIT = frame(TEXT, b'{"type":"connection_init"}')
SIGN_OF_LIFE, ANSWER = (frame(TEXT, b'{"type":"%s"}' % kind) for kind in (b"ping", b"pong"))


@dataclass(frozen=True)
class Plan:
    port: int
    payload: dict[str, Any]
    """Of `subscribe`."""
    headers: list[str]
    """Of each user; socket 7 is user 7's."""
    greets: bool
    """The first message is the sign of life. Else it is the answer to a `ping`."""

    def handshake(self, user: int) -> bytes:
        return (
            f"GET /graphql/ HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            f"Sec-WebSocket-Protocol: graphql-transport-ws\r\n{self.headers[user]}\r\n\r\n"
        ).encode()


class Crowd:
    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.live = 0
        self.receipts: list[tuple[int, int, int]] = []
        """When it was published, by which socket it was received, and when."""
        self.failures: dict[int, str] = {}
        subscribe = frame(TEXT, json.dumps({"id": "1", "type": "subscribe", "payload": plan.payload}).encode())
        self._subscribe = subscribe if plan.greets else subscribe + SIGN_OF_LIFE
        self._sockets: list[socket.socket] = []
        self._numbers: dict[int, int] = {}
        self._rest: dict[int, bytes] = {}
        self._upgrading: set[int] = set()
        self._opening: set[int] = set()
        self._poll = select.epoll()
        self._poll.register(STDIN, select.EPOLLIN)

    def open(self, count: int) -> None:
        """Returns when so many are live, or have failed."""
        while self.live + len(self.failures) < count:
            while len(self._opening) < AT_ONCE and len(self._sockets) < count:
                self._connect()
            self.serve(PATIENCE)

    def _connect(self) -> None:
        number = len(self._sockets)
        connection = socket.create_connection(("127.0.0.1", self.plan.port))
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sockets.append(connection)
        self._numbers[connection.fileno()] = number
        self._upgrading.add(number)
        self._opening.add(number)
        connection.sendall(self.plan.handshake(number % len(self.plan.headers)))
        self._poll.register(connection, select.EPOLLIN)

    def serve(self, seconds: float) -> bool:
        """Handles what comes next, and returns whether a command is among it."""
        ready = self._poll.poll(seconds)
        if not ready:
            for number in list(self._opening):
                self._fail(number, f"nothing came for {seconds} s")
        for fd, _ in ready:
            if fd != STDIN:
                self._receive(self._numbers[fd])
        return any(fd == STDIN for fd, _ in ready)

    def _receive(self, number: int) -> None:
        try:
            data = self._sockets[number].recv(1 << 18)
        except OSError as error:
            self._fail(number, repr(error))
            return
        if not data:
            self._fail(number, "hung up")
            return
        now = time.monotonic_ns()
        if rest := self._rest.pop(number, None):
            data = rest + data
        if number in self._upgrading:
            head, found, data = data.partition(b"\r\n\r\n")
            if not found:
                self._rest[number] = head
                return
            self._upgrading.discard(number)
            if not head.startswith(b"HTTP/1.1 101"):
                self._fail(number, head.decode())
                return
            self._sockets[number].sendall(INIT)
        at = 0
        while len(data) - at >= 2:
            size, begin = data[at + 1], at + 2
            if size == 126:
                size, begin = int.from_bytes(data[at + 2 : at + 4]), at + 4
            elif size == 127:
                size, begin = int.from_bytes(data[at + 2 : at + 10]), at + 10
            if len(data) < begin + size:
                break
            self._hear(number, data[at] & 15, data[begin : begin + size], now)
            at = begin + size
        if at < len(data):
            self._rest[number] = data[at:]

    def _hear(self, number: int, code: int, payload: bytes, now: int) -> None:
        if stamps := STAMP.findall(payload):
            self.receipts.extend((int(stamp), number, now) for stamp in stamps)
        elif b'"connection_ack"' in payload:
            self._sockets[number].sendall(self._subscribe)
        elif code == PING:
            self._sockets[number].sendall(frame(PONG, payload))
        elif b'"ping"' in payload:
            self._sockets[number].sendall(ANSWER)
        elif code == TEXT and (b'"pong"', b'"next"')[self.plan.greets] in payload and b'"errors"' not in payload:
            self.live += number in self._opening
            self._opening.discard(number)
        else:
            self._fail(number, f"{code} {payload.decode(errors='replace')}")

    def _fail(self, number: int, why: str) -> None:
        if number in self.failures:
            return
        self.live -= number not in self._opening
        self._opening.discard(number)
        self.failures[number] = why[:500]
        self._poll.unregister(self._sockets[number])
        self._sockets[number].close()

    def commands(self) -> Iterator[dict[str, Any]]:
        """The sockets are served while there is none."""
        while True:
            while not self.serve(3_600):
                pass
            line = sys.stdin.readline()
            if not line:
                return
            yield json.loads(line)

    def collect(self, count: int, patience: float) -> list[tuple[int, int, int]]:
        """What was received since the last time; waits for so many, or until so long nothing came."""
        deadline, before = time.monotonic() + patience, len(self.receipts)
        while len(self.receipts) < count and time.monotonic() < deadline:
            self.serve(0.1)
            if len(self.receipts) > before:
                deadline, before = time.monotonic() + patience, len(self.receipts)
        received, self.receipts = self.receipts, []
        return received


def main() -> None:
    crowd = Crowd(Plan(**json.loads(sys.stdin.readline())))
    say(None)
    for command in crowd.commands():
        began, cpu = time.monotonic(), time.process_time()
        match command:
            case {"open": count}:
                crowd.open(count)
                answer = {"live": crowd.live, "failures": list(crowd.failures.values())}
            case {"collect": count, "patience": patience}:
                answer = {"receipts": crowd.collect(count, patience)}
            case _:
                raise ValueError(command)
        say(answer | {"seconds": time.monotonic() - began, "cpu": time.process_time() - cpu})


def say(answer: Any) -> None:
    sys.stdout.write(f"{json.dumps(answer)}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
