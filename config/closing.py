"""A WebSocket's close arrives, with its code, on every server, also at a client that is still sending.

A server that cuts the connection with something unread in it has the kernel send an RST, and by that the client may
lose the close that is on its way. Daphne and Uvicorn read on after a close, until the client answers it. Hypercorn
(0.18.0) cuts when the application returns, so that waits for the answer here; and it never cuts while it has messages
for an application that does not receive them, not even at its own end. Granian (2.8.7) cuts at once, so there the
client gets a moment to finish first; and it keeps a close back for as long as another task waits in `receive`, so that
one is woken.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import suppress
from typing import Any

type Message = MutableMapping[str, Any]
type Receive = Callable[[], Awaitable[Message]]
type Send = Callable[[Message], Awaitable[None]]
type Application = Callable[[Message, Receive, Send], Awaitable[None]]

ANSWER_SECONDS = 1
"""How long a client can go on sending, or be silent, before it is cut off all the same."""
PAUSE_SECONDS = 0.1
"""Who has sent nothing for so long has finished."""
CUT_SECONDS = 10
"""How long a server can take for that."""

_drains: set[asyncio.Task[None]] = set()


def closable(application: Application) -> Application:
    """Of WebSockets, which any task of `application` may close. Whoever receives from one then, gets a disconnect."""

    async def wrapped(scope: Message, receive: Receive, send: Send) -> None:
        socket = _Socket(receive, send)
        await application(scope, socket.receive, socket.send)
        await socket.wait_for_answer()

    return wrapped


class _Socket:
    __slots__ = ("_close", "_closed", "_cuts_at_close", "_is_open", "_reader", "_receive", "_send")

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send = send
        self._cuts_at_close = type(getattr(receive, "__self__", None)).__module__.startswith("granian")
        self._is_open = False
        self._reader: asyncio.Task[Any] | None = None
        self._close: Message | None = None
        self._closed: asyncio.Event | None = None  # set when the close is sent

    async def receive(self) -> Message:
        if self._close is None:
            task = self._reader = asyncio.current_task()
            try:
                return await self._received()
            except asyncio.CancelledError:
                if self._close is None or task is None or task.uncancel():
                    raise
            finally:
                self._reader = None
        if self._closed:
            await self._closed.wait()
        return {"type": "websocket.disconnect", "code": self._close.get("code", 1000)}

    def send(self, message: Message) -> Awaitable[None]:
        match message["type"]:
            case "websocket.close":
                return self._send_close(message)
            case "websocket.accept":
                self._is_open = True
        return self._send(message)

    async def _send_close(self, message: Message) -> None:
        self._close = message
        closed = self._closed = self._closed or asyncio.Event()
        if self._reader:
            self._reader.cancel()
        try:
            if self._is_open and self._cuts_at_close:
                await self._drain(ANSWER_SECONDS, PAUSE_SECONDS)
                if not self._is_open:
                    return
            await self._send(message)
        finally:
            closed.set()

    async def wait_for_answer(self) -> None:
        if self._close and self._is_open:
            drain = asyncio.create_task(self._drain(CUT_SECONDS))
            _drains.add(drain)
            drain.add_done_callback(_drains.discard)
            await asyncio.wait([drain], timeout=ANSWER_SECONDS)

    async def _drain(self, seconds: float, pause: float | None = None) -> None:
        """Receives, and keeps nothing of it, for so long at most, and until there is a pause or the client has gone."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._is_open:
                    async with asyncio.timeout(pause):
                        await self._received()

    async def _received(self) -> Message:
        message = await self._receive()
        if message["type"] == "websocket.disconnect":
            self._is_open = False
        return message
