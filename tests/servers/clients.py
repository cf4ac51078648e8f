"""What is at the other end of the wire."""

import json
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Self

import httpx
from asgiref.sync import sync_to_async
from django.db import transaction
from websockets import Subprotocol
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from apps.profiles.models import Profile
from tests.clients import SUBPROTOCOL, session_cookies
from tests.conftest import User
from tests.processes import Server


class Browser(httpx.Client):
    """With the cookies of a user who is signed in, or of a visitor, and the token against CSRF."""

    def __init__(self, server: Server, user: User | None = None) -> None:
        super().__init__(base_url=server.url, cookies=session_cookies(user) if user else None, timeout=30)

    def __enter__(self) -> Self:
        super().__enter__()
        self.headers["X-CSRFToken"] = self.get("/graphql/").cookies["csrftoken"]
        return self

    def ask(self, query: str) -> Any:
        return self.post("/graphql/", json={"query": query}).json()

    def begin(self, query: str, buffer: int = 128 * 1024) -> socket.socket:
        """Sends a request, and leaves it to the caller whether to wait for the answer, of which `buffer` bytes fit."""
        request = self.build_request("POST", "/graphql/", json={"query": query})
        sent = socket.socket()
        sent.settimeout(30)
        sent.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        sent.connect((self.base_url.host, self.base_url.port or 80))
        lines = [f"{name}: {value}" for name, value in request.headers.items()]
        sent.sendall("\r\n".join(["POST /graphql/ HTTP/1.1", *lines, "", ""]).encode() + request.content)
        return sent


@contextmanager
def profile_locked(user: User) -> Iterator[None]:
    """Whoever would write it waits until the end of this. (With SQLite, whoever would write anything.)"""
    with transaction.atomic():
        Profile.objects.select_for_update().get(user=user)
        yield


def reset(connection: socket.socket) -> None:
    """As if the client's machine had lost its memory: the server gets an RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


async def websocket(server: Server, user: User | None, protocol: str | None = SUBPROTOCOL) -> ClientConnection:
    return await open_socket(server, await sync_to_async(session_cookies)(user) if user else {}, protocol)


async def open_socket(server: Server, cookies: dict[str, str], protocol: str | None = SUBPROTOCOL) -> ClientConnection:
    return await connect(
        server.websocket_url,
        origin=server.url,  # type: ignore[arg-type]
        subprotocols=[Subprotocol(protocol)] if protocol else None,
        additional_headers={"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())},
        ping_interval=None,
    )


async def say(socket: ClientConnection, *messages: Any) -> None:
    for message in messages:
        await socket.send(message if isinstance(message, str | bytes) else json.dumps(message))


async def hear(socket: ClientConnection) -> Any:
    return json.loads(await socket.recv())


async def ended(socket: ClientConnection) -> int | None:
    """With which code the server closes it; what it sends before that is not looked at."""
    with suppress(ConnectionClosed):
        while True:
            await socket.recv()
    return socket.close_code
