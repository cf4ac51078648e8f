"""Asks queries: `python -m tests.bench.queries`, with a `Plan` as JSON on stdin. Prints what came of it, as JSON.

A closed loop on one thread, with requests that are made before it begins: each client asks again as soon as it has its
answer, as one of the users at random. Each answer is looked at.
"""

import json
import random
import re
import select
import socket
import sys
import time
from dataclasses import dataclass
from typing import Any

LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
PATIENCE = 30
"""Seconds without any answer, after which it ends."""


@dataclass(frozen=True)
class Plan:
    port: int
    clients: int
    seconds: float
    body: str
    headers: list[str]
    """Of each user."""
    expected: list[list[str]]
    """What each user's answer has to hold,"""
    notifications: int
    """and how many of these."""

    def request(self, user: int) -> bytes:
        lines = (
            f"POST /graphql/ HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(self.body)}\r\n{self.headers[user]}\r\n\r\n{self.body}"
        )
        return lines.encode()

    def is_right(self, answer: bytes, user: int) -> bool:
        return (
            answer.startswith(b"HTTP/1.1 200")
            and b'"errors"' not in answer
            and answer.count(b'"createdAt"') == self.notifications
            and all(text.encode() in answer for text in self.expected[user])
        )


class Client:
    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.user = -1
        self.asked_at = 0.0
        self.answer = b""

    def ask(self, user: int, request: bytes) -> None:
        self.user, self.answer, self.asked_at = user, b"", time.perf_counter()
        self.socket.sendall(request)

    def hears(self) -> bool:
        """Whether the answer is complete now."""
        received = self.socket.recv(1 << 18)
        if not received:
            raise ConnectionError(f"The server hung up; it had said {self.answer!r}")
        self.answer += received
        head = self.answer.find(b"\r\n\r\n")
        if head < 0:
            return False
        if length := LENGTH.search(self.answer, 0, head):
            return len(self.answer) >= head + 4 + int(length[1])
        return self.answer.endswith(b"\r\n0\r\n\r\n")  # it comes in chunks


def load(plan: Plan) -> dict[str, Any]:
    requests = [plan.request(user) for user in range(len(plan.headers))]
    clients = {client.socket.fileno(): client for client in (Client(plan.port) for _ in range(plan.clients))}
    poll = select.epoll()
    for fd in clients:
        poll.register(fd, select.EPOLLIN)
    latencies: list[float] = []
    wrong: list[str] = []
    cpu, began = time.process_time(), time.perf_counter()
    for client in clients.values():
        user = random.randrange(len(requests))
        client.ask(user, requests[user])
    waiting = len(clients)
    while waiting:
        ready = poll.poll(PATIENCE)
        if not ready:
            raise TimeoutError(f"{waiting} clients had no answer in {PATIENCE} s")
        for fd, _ in ready:
            client = clients[fd]
            if not client.hears():
                continue
            now = time.perf_counter()
            latencies.append(now - client.asked_at)
            if not plan.is_right(client.answer, client.user):
                wrong.append(client.answer[:2_000].decode(errors="replace"))
            if now - began < plan.seconds:
                user = random.randrange(len(requests))
                client.ask(user, requests[user])
            else:
                waiting -= 1
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    answer = next(iter(clients.values())).answer.partition(b"\r\n\r\n")[2].decode(errors="replace")
    return {"latencies": latencies, "seconds": seconds, "wrong": wrong, "cpu": cpu, "answer": answer}


if __name__ == "__main__":
    random.seed(7)
    sys.stdout.write(json.dumps(load(Plan(**json.loads(sys.stdin.readline())))) + "\n")
