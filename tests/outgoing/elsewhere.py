"""A server on this machine that behaves as badly as a test wants it to."""

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Self


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    rest: asyncio.StreamReader


type Handler = Callable[[Request, asyncio.StreamWriter], Awaitable[Any]]


class Elsewhere:
    """A handler, of a path each, writes the bytes of the answer itself. Unless it closes, another request may come."""

    def __init__(self, address: str = "127.0.0.1", tls: ssl.SSLContext | None = None) -> None:
        self.handlers: dict[str, Handler] = {}
        self.requests: list[Request] = []
        self.connections = 0
        self.open = 0
        self.changed = asyncio.Condition()
        self._address, self._tls = address, tls

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, self._address, 0, ssl=self._tls)
        self.port: int = self._server.sockets[0].getsockname()[1]
        self.url = f"http://{self._address}:{self.port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20), self.changed:
            await self.changed.wait_for(condition)

    async def _tell(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.open += 1
        try:
            while not writer.is_closing():
                request = await self._read(reader)
                self.requests.append(request)
                await self._tell()
                await self.handlers.get(request.path.partition("?")[0], not_found)(request, writer)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # gone
        finally:
            self.open -= 1
            writer.close()
            await self._tell()

    async def _read(self, reader: asyncio.StreamReader) -> Request:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        first, *lines = head.strip().split("\r\n")
        method, path, _ = first.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        return Request(method, path, headers, body, reader)

    def on(self, path: str, *answers: bytes | Handler) -> str:
        """Gives these answers in turn, and the last of them from then on. Returns the address."""
        left = list(answers)

        async def handle(request: Request, writer: asyncio.StreamWriter) -> None:
            answer = left.pop(0) if len(left) > 1 else left[0]
            if isinstance(answer, bytes):
                writer.write(answer)
            else:
                await answer(request, writer)

        self.handlers[path] = handle
        return self.url + path


def answer(body: bytes = b"", status: int = 200, **headers: str | int) -> bytes:
    lines = [f"HTTP/1.1 {status} Word", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def not_found(_request: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(answer(status=404))


def redirect(location: str, status: int = 302) -> bytes:
    return answer(status=status, Location=location)


async def cut(_request: Request, writer: asyncio.StreamWriter) -> None:
    """Closes without an answer."""
    writer.close()


async def hang(request: Request, writer: asyncio.StreamWriter) -> None:
    """Says nothing until the other side has gone."""
    await request.rest.read()
    writer.close()


async def endless(_request: Request, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
    while not writer.is_closing():
        writer.write(b"x" * 65_536)
        await writer.drain()
