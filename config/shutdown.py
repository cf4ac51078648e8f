"""An orderly end, on every server. SIGTERM is heard here first, and passed on to the server when the work is done.

At once, `/health/ready/` says 503 and no socket opens, so that a load balancer looks elsewhere. After
`SHUTDOWN_DELAY_SECONDS` the open sockets get a close that tells clients to come back. When they have gone and what was
being answered is answered, or else at the deadline, it is the server's turn. (Daphne's would be to cut them all.)
"""

import asyncio
import logging
import signal
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from django.conf import settings

logger = logging.getLogger(__name__)

DEADLINE_SECONDS = 6
"""How long the sockets and requests have, after the delay. All of it together has to stay below the ten seconds after
which Docker, Kubernetes and systemd lose patience."""
FLUSH_SECONDS = 0.2
"""What the server has afterwards to write what it was given last: Granian cuts at once what it still has to send."""
SERVICE_RESTART = 1012
SERVICE_RESTART_ON_DAPHNE = 4503
"""Daphne sends no code below 3000 but 1000. It turns 1012 into 1011, at which clients give up for good."""


class Socket(Protocol):
    async def end(self, code: int, reason: str) -> None: ...


class UnderWay:
    """Requests and sockets: what the end waits for."""

    def __init__(self) -> None:
        self.count = 0
        self.news = asyncio.Event()

    def __enter__(self) -> None:
        self.count += 1

    def __exit__(self, *_: object) -> None:
        self.count -= 1
        if not self.count:
            self.news.set()


class Shutdown:
    def __init__(self) -> None:
        self.begun = False
        self.sockets: set[Socket] = set()
        self.under_way = UnderWay()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._server_handler: Callable[[], Any] = lambda: None
        self._close_code = SERVICE_RESTART_ON_DAPHNE

    def listen(self) -> None:
        """Takes the server's place as the first to hear SIGTERM, if it listens at all. Free after the first call."""
        loop = asyncio.get_running_loop()
        if loop is self._loop:
            return
        self._loop = loop
        if threading.current_thread() is not threading.main_thread():
            return
        handler = signal.getsignal(signal.SIGTERM)
        # Granian and Hypercorn have asyncio call theirs, which has no public way to ask for it.
        if handle := getattr(loop, "_signal_handlers", {}).get(signal.SIGTERM):
            self._server_handler = handle._run
            loop.add_signal_handler(signal.SIGTERM, self._on_sigterm)
        elif getattr(handler, "__self__", None) is loop:
            logger.warning(
                "No orderly end: uvloop does not tell the server's handler. Start it with asyncio's own loop."
            )
        elif callable(handler) and handler != self._on_sigterm:
            self._server_handler = partial(handler, signal.SIGTERM, None)
            signal.signal(signal.SIGTERM, self._on_sigterm)

    def _on_sigterm(self, *_: Any) -> None:
        if self.begun or self._loop is None or not self._loop.is_running():
            self._server_handler()
        else:
            self._loop.call_soon_threadsafe(self._begin)

    def _begin(self) -> None:
        self.begun = True
        self._task = asyncio.create_task(self._end())

    async def _end(self) -> None:
        logger.info("Ending: %s under way, %s of them WebSockets", self.under_way.count, len(self.sockets))
        await asyncio.sleep(settings.SHUTDOWN_DELAY_SECONDS)
        try:
            async with asyncio.timeout(DEADLINE_SECONDS):
                while self.under_way.count:
                    self.under_way.news.clear()
                    closing = [socket.end(self._close_code, "Service restart") for socket in self.sockets]
                    await asyncio.gather(*closing, return_exceptions=True)  # some may have gone by themselves
                    await self.under_way.news.wait()
        except Exception:
            logger.exception("Not all came to its end: %s are still under way", self.under_way.count)
        await asyncio.sleep(FLUSH_SECONDS)
        self._server_handler()

    def opened(self, socket: Socket) -> None:
        """It is to be closed in the end, which may have come while the socket was being opened."""
        self.sockets.add(socket)
        self.under_way.news.set()

    async def lifespan(self, receive: Any, send: Any) -> None:
        """The server's start and end, for those that tell of them. Daphne does not."""
        self._close_code = SERVICE_RESTART
        while True:
            message = await receive()
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return


shutdown = Shutdown()
