"""HTTP goes through Django's own stack, a WebSocket through Channels."""

import os
from collections.abc import MutableMapping
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

from django.core.asgi import get_asgi_application

django_application = get_asgi_application()  # sets Django up; what follows needs it

from channels.auth import AuthMiddlewareStack
from channels.routing import ProtocolTypeRouter, URLRouter
from channels.security.websocket import OriginValidator
from django.conf import settings
from django.urls import path
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL

from apps.notifications.delivery import serving_hub
from config.body_limit import limit_body, limit_daphne
from config.graphql.websocket import GraphQLConsumer
from config.schema import schema
from config.shutdown import shutdown

limit_daphne()
graphql_consumer = GraphQLConsumer.as_asgi(schema=schema, subscription_protocols=[GRAPHQL_TRANSPORT_WS_PROTOCOL])

by_protocol = ProtocolTypeRouter(
    {
        "http": django_application,
        "websocket": OriginValidator(
            AuthMiddlewareStack(URLRouter([path("graphql/", graphql_consumer)])), settings.WEBSOCKET_ORIGINS
        ),
    }
)


async def application(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
    serving_hub()  # this loop serves: what requests commit is published from here
    shutdown.listen()
    if scope["type"] == "lifespan":
        await shutdown.lifespan(receive, send)
    elif scope["type"] == "websocket" and shutdown.begun:
        await send({"type": "websocket.close"})  # which refuses it; the client tries again, elsewhere by then
    else:
        if scope["type"] == "http":
            receive = limit_body(scope, receive)
        with shutdown.under_way():
            # Daphne takes a root path from any client's `Daphne-Root-Path`, and Django builds links with it.
            scope["root_path"] = ""
            await by_protocol(scope, receive, send)
