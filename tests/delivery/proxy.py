"""A network that fails: a TCP proxy which can cut connections, with a reset that both ends see, or in silence."""

import asyncio
import socket
import struct
from contextlib import suppress
from typing import Self

type Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]

NO_LINGER = struct.pack("ii", 1, 0)  # closing then sends a reset, and forgets what was still to be sent


class Connection:
    """A client, a server, and what goes back and forth between them."""

    def __init__(self, client: Streams, server: Streams) -> None:
        self._writers = [client[1], server[1]]
        self._pumps = [
            asyncio.create_task(self._pump(client[0], server[1])),
            asyncio.create_task(self._pump(server[0], client[1])),
        ]

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65_536):
                writer.write(data)
                await writer.drain()
        for each in self._writers:
            each.close()

    @property
    def open(self) -> bool:
        return not any(pump.done() or pump.cancelling() for pump in self._pumps)

    def silence(self) -> None:
        """From now on nothing gets through, and neither end is told."""
        for pump in self._pumps:
            pump.cancel()

    def reset(self) -> None:
        self.silence()
        for writer in self._writers:
            with suppress(OSError):  # it has just been closed from the other end
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, NO_LINGER)
            writer.transport.abort()

    async def release(self) -> None:
        self.reset()
        await asyncio.gather(*self._pumps, return_exceptions=True)


class Proxy:
    """On 127.0.0.1, in front of the server on `target`; use it in an `async with`. Silenced connections stay open."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._connections: list[Connection] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, backlog=200)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for connection in self._connections:
            await connection.release()
        await self._server.wait_closed()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            server = await asyncio.open_connection("127.0.0.1", self._target)
        except OSError:
            writer.transport.abort()
        else:
            self._connections.append(Connection((reader, writer), server))

    def pick(self, share: float) -> list[Connection]:
        """That share of the open connections."""
        connections = [each for each in self._connections if each.open]
        return connections[: round(share * len(connections))]
