import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from typing import Any

import httpcore2
import pytest
from pytest_django import Settings

from apps import outgoing
from tests.outgoing.elsewhere import Elsewhere

type Addresses = list[str]


class Names:
    """The names that a test makes up. Each answers in turn, and its last answer from then on."""

    def __init__(self) -> None:
        self.answers: dict[str, list[Addresses | Callable[[], Addresses]]] = {}
        self.asked: list[str] = []
        self._real = socket.getaddrinfo

    def look_up(self, host: Any, port: Any, *options: Any, **more: Any) -> Any:
        if host not in self.answers:
            return self._real(host, port, *options, **more)
        self.asked.append(host)
        answers = self.answers[host]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        return [
            entry
            for address in (answer() if callable(answer) else answer)
            for entry in self._real(address, port, type=socket.SOCK_STREAM)
        ]


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Names:
    names = Names()
    monkeypatch.setattr(socket, "getaddrinfo", names.look_up)
    return names


@pytest.fixture(autouse=True)
def connected(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that were connected to. Should a check fail, a test does not leave this machine."""
    addresses: list[str] = []
    connect = httpcore2.AnyIOBackend.connect_tcp

    async def connect_tcp(self: Any, host: str, *options: Any, **more: Any) -> Any:
        addresses.append(host)
        if not host.startswith("127.") and host != "::1":
            raise httpcore2.ConnectError(f"A test would have connected to {host}")
        return await connect(self, host, *options, **more)

    monkeypatch.setattr(httpcore2.AnyIOBackend, "connect_tcp", connect_tcp)
    return addresses


@pytest.fixture(autouse=True)
def _at_once_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outgoing, "_backoff", lambda _state: 0.0)


@pytest.fixture
async def untrusted() -> AsyncIterator[Callable[..., Any]]:
    """`await untrusted("127.0.0.2")`: a server that only this machine reaches."""
    async with AsyncExitStack() as stack:

        async def start(address: str = "127.0.0.1", **options: Any) -> Elsewhere:
            return await stack.enter_async_context(Elsewhere(address, **options))

        yield start


@pytest.fixture
async def elsewhere(settings: Settings) -> AsyncIterator[Elsewhere]:
    """A server at an address that may be called."""
    settings.OUTGOING_TRUSTED = ["127.0.0.1"]
    async with Elsewhere() as server:
        yield server
