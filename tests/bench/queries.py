"""Asks queries in a closed loop: each client asks again as soon as it has its answer, as one of the users at random."""

import asyncio
import random
import re
import time
from collections.abc import Callable, Sequence

LENGTH = re.compile(rb"(?i)\r\ncontent-length: *(\d+)")
PATIENCE = 30
"""Seconds that one answer may take."""

type IsRight = Callable[[int, bytes], bool]
"""Whether this user's answer may have this body."""


class Client:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def connected(cls, port: int) -> "Client":
        return cls(*await asyncio.open_connection("127.0.0.1", port, limit=1 << 20))

    async def ask(self, request: bytes) -> bytes:
        """The body of the answer."""
        self._writer.write(request)
        async with asyncio.timeout(PATIENCE):
            head = await self._reader.readuntil(b"\r\n\r\n")
            length = LENGTH.search(head)
            body = await self._reader.readexactly(int(length[1])) if length else await self._chunks()
        assert head.startswith(b"HTTP/1.1 200"), head + body[:2_000]
        return body

    async def _chunks(self) -> bytes:
        body = b""
        while size := int(await self._reader.readuntil(b"\r\n"), 16):
            body += (await self._reader.readexactly(size + 2))[:-2]
        await self._reader.readexactly(2)
        return body

    def close(self) -> None:
        self._writer.close()


def request(port: int, query: bytes, headers: str) -> bytes:
    head = (
        f"POST /graphql/ HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(query)}\r\n{headers}\r\n\r\n"
    )
    return head.encode() + query


async def load(port: int, requests: Sequence[bytes], clients: int, seconds: float, is_right: IsRight) -> list[float]:
    """How many seconds each answer took. The requests, one of each user, are made before the load begins."""
    latencies: list[float] = []
    end = time.perf_counter() + seconds

    async def keep_asking(client: Client) -> None:
        while (asked_at := time.perf_counter()) < end:
            user = random.randrange(len(requests))
            body = await client.ask(requests[user])
            latencies.append(time.perf_counter() - asked_at)
            assert is_right(user, body), f"A wrong answer: {body[:2_000].decode(errors='replace')}"
        client.close()

    await asyncio.gather(*[keep_asking(await Client.connected(port)) for _ in range(clients)])
    return latencies
