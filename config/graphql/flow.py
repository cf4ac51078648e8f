"""Flow control for a WebSocket, on any server: some have no back-pressure, and would keep whatever nobody reads."""

import asyncio
import time

WINDOW = 64 * 1024
"""Bytes on their way to a client that has not said yet that they came."""
PATIENCE_SECONDS = 30
"""How long a client has to answer."""


class Window:
    """Counts what is sent, and what has arrived: a client reads in order, so its `pong` means all before the `ping`."""

    __slots__ = ("_arrived", "_pinged", "_replied", "_room", "_sent")

    def __init__(self) -> None:
        self._sent = 0
        self._arrived = 0
        self._replied = 0
        self._pinged: int | None = None  # what had been sent when the client was asked
        self._room: asyncio.Event | None = None  # not before somebody waits: each takes most of a kilobyte

    def sending(self, count: int) -> None:
        self._sent += count

    def is_time_to_ask(self) -> bool:
        """As `ask`, when half of the window is full: so one who answers never has to be waited for."""
        return self._sent - self._arrived >= WINDOW // 2 and self.ask()

    def ask(self) -> bool:
        """Whether to send a `ping` now: one at a time."""
        if self._pinged is not None:
            return False
        self._pinged = self._sent
        return True

    def answered(self) -> bool:
        """Whether the `pong` that came had been asked for."""
        if self._pinged is None:
            return False
        self._arrived, self._pinged, self._replied = self._pinged, None, 0
        if self._room:
            self._room.set()
            self._room = None
        return True

    def reply(self, count: int) -> None:
        """For what cannot wait. Raises `TimeoutError` for a client that goes on asking, and does not answer."""
        if self._replied >= WINDOW:
            raise TimeoutError
        self._replied += count

    @property
    def is_full(self) -> bool:
        return self._sent - self._arrived >= WINDOW

    async def room(self) -> None:
        """Waits until there is room for more. Raises `TimeoutError` for a client that does not answer."""
        while self.is_full:
            self._room = room = self._room or asyncio.Event()
            async with asyncio.timeout(PATIENCE_SECONDS):
                await room.wait()


class Allowance:
    """How many messages a client may send: so many at once, and so many a second from then on."""

    __slots__ = ("_at", "_at_once", "_left", "_per_second")

    def __init__(self, at_once: int, per_second: int) -> None:
        self._at_once = at_once
        self._per_second = per_second
        self._left: float = at_once
        self._at = time.monotonic()

    def take(self) -> bool:
        """Whether one more is allowed."""
        now = time.monotonic()
        self._left = min(self._left + (now - self._at) * self._per_second, self._at_once)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
