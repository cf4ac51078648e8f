"""HTTP goes through Django's own stack, a WebSocket through Channels."""

import os

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
from config.closing import Message, Receive, Send, closable
from config.graphql.websocket import graphql_socket
from config.headers import readable
from config.loop_guard import blocking_calls, loop_guard
from config.shutdown import shutdown
from config.statements import limit_statements

limit_daphne()
limit_statements()
if settings.DEBUG:
    blocking_calls().activate()

by_protocol = ProtocolTypeRouter(
    {
        "http": django_application,
        "websocket": closable(
            OriginValidator(
                AuthMiddlewareStack(URLRouter([path("graphql/", graphql_socket)])),  # type: ignore[arg-type]
                settings.WEBSOCKET_ORIGINS,
            )
        ),
    }
)


async def application(scope: Message, receive: Receive, send: Send) -> None:
    loop_guard()
    serving_hub()  # this loop serves: what requests commit is published from here
    shutdown.listen()
    if scope["type"] == "lifespan":
        await shutdown.lifespan(receive, send)
    elif scope["type"] == "websocket" and shutdown.begun:
        await send({"type": "websocket.close"})  # which refuses it; the client tries again, elsewhere by then
    else:
        if scope["type"] == "http":
            receive = limit_body(scope, receive)
        scope["headers"] = readable(scope["headers"])
        with shutdown.under_way():
            # Daphne takes a root path from any client's `Daphne-Root-Path`, and Django builds links with it.
            scope["root_path"] = ""
            await by_protocol(scope, receive, send)
