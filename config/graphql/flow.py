"""Flow control for a WebSocket, on any server: some have no back-pressure, and would keep whatever nobody reads."""

import asyncio

WINDOW = 64 * 1024
"""Bytes on their way to a client that has not said yet that they came."""
PATIENCE_SECONDS = 30
"""How long a client has to answer."""


class Window:
    """Counts what is sent, and what has arrived: a client reads in order, so its `pong` means all before the `ping`."""

    def __init__(self) -> None:
        self._sent = 0
        self._arrived = 0
        self._replied = 0
        self._pinged: int | None = None  # what had been sent when the client was asked
        self._room = asyncio.Event()

    def sent(self, count: int) -> bool:
        """Whether it is time to ask the client: halfway, so that one who answers never has to be waited for."""
        self._sent += count
        if self._pinged is None and self._sent - self._arrived >= WINDOW // 2:
            self._pinged = self._sent
            return True
        return False

    def answered(self) -> None:
        if self._pinged is not None:
            self._arrived, self._pinged, self._replied = self._pinged, None, 0
            self._room.set()

    def reply(self, count: int) -> None:
        """For what cannot wait. Raises `TimeoutError` for a client that goes on asking, and does not answer."""
        self._replied += count
        if self._replied >= WINDOW:
            raise TimeoutError

    async def room(self) -> None:
        """Waits until there is room for more. Raises `TimeoutError` for a client that does not answer."""
        async with asyncio.timeout(PATIENCE_SECONDS):
            while self._sent - self._arrived >= WINDOW:
                self._room.clear()
                await self._room.wait()
