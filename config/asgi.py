"""HTTP goes through Django's own stack, a WebSocket through Channels."""

import asyncio
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from django.core.asgi import get_asgi_application

django_application = get_asgi_application()  # sets Django up; what follows needs it

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import OriginValidator
from django.conf import settings
from django.urls import path

from apps.notifications.delivery import serving_hub
from config.body_limit import limit_body, limit_daphne
from config.graphql.websocket import graphql_socket
from config.headers import readable
from config.shutdown import shutdown
from config.statements import limit_statements

limit_daphne()
limit_statements()

by_protocol = ProtocolTypeRouter(
    {
        "http": django_application,
        "websocket": OriginValidator(
            AuthMiddlewareStack(URLRouter([path("graphql/", graphql_socket)])),  # type: ignore[arg-type]
            settings.WEBSOCKET_ORIGINS,
        ),
    }
)


type Message = MutableMapping[str, Any]
type Receive = Callable[[], Awaitable[Message]]
type Send = Callable[[Message], Awaitable[None]]


def closable(receive: Receive, send: Send) -> tuple[Receive, Send]:
    """Of a WebSocket that any task can close. Granian (2.8.7) keeps a close back for as long as another one waits in
    `receive`; here that one is woken first, and told that the socket is gone.
    """
    reader: asyncio.Task[Any] | None = None
    close: Message | None = None
    sent = asyncio.Event()

    async def receive_until_closed() -> Message:
        nonlocal reader
        task = reader = asyncio.current_task()
        try:
            return await receive()
        except asyncio.CancelledError:
            if close is None or task is None:
                raise
            task.uncancel()
            await sent.wait()
            return {"type": "websocket.disconnect", "code": close["code"]}
        finally:
            reader = None

    async def send_when_woken(message: Message) -> None:
        nonlocal close
        if message["type"] == "websocket.close" and reader:
            close = message
            reader.cancel()
        try:
            await send(message)
        finally:
            if close:
                sent.set()

    return receive_until_closed, send_when_woken


async def application(scope: Message, receive: Receive, send: Send) -> None:
    serving_hub()  # this loop serves: what requests commit is published from here
    shutdown.listen()
    if scope["type"] == "lifespan":
        await shutdown.lifespan(receive, send)
    elif scope["type"] == "websocket" and shutdown.begun:
        await send({"type": "websocket.close"})  # which refuses it; the client tries again, elsewhere by then
    else:
        if scope["type"] == "http":
            receive = limit_body(scope, receive)
        else:
            receive, send = closable(receive, send)
        scope["headers"] = readable(scope["headers"])
        with shutdown.under_way():
            # Daphne takes a root path from any client's `Daphne-Root-Path`, and Django builds links with it.
            scope["root_path"] = ""
            await by_protocol(scope, receive, send)
