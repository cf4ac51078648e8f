"""HTTP goes through Django's own stack, a WebSocket to the one address that has any."""

import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

import django

django.setup(set_prefix=False)  # what follows needs it

from channels.routing import ProtocolTypeRouter
from channels.security.websocket import OriginValidator
from django.conf import settings
from django.urls import get_resolver

from apps.notifications.delivery import serving_hub
from config.body_limit import limit_body, limit_daphne
from config.closing import Message, Receive, Send, closable
from config.collector import collect_seldom
from config.graphql.websocket import graphql_socket
from config.handler import Handler
from config.headers import readable
from config.loop_guard import blocking_calls, loop_guard
from config.shutdown import shutdown
from config.stalled_clients import cut_off_stalled_clients
from config.statements import limit_statements

limit_daphne()
limit_statements()
if settings.DEBUG:
    blocking_calls().activate()

by_protocol = ProtocolTypeRouter(
    {
        "http": Handler(),
        "websocket": closable(OriginValidator(graphql_socket, settings.WEBSOCKET_ORIGINS)),
    }
)
get_resolver().reverse_dict  # noqa: B018 - loads all addresses, as else the first request would, on the event loop
collect_seldom()  # all that is loaded once is there by now


async def application(scope: Message, receive: Receive, send: Send) -> None:
    loop_guard()
    serving_hub()  # this loop serves: what requests commit is published from here
    shutdown.listen()
    if scope["type"] == "lifespan":
        await shutdown.lifespan(receive, send)
        return
    cut_off_stalled_clients()
    if scope["type"] == "websocket" and shutdown.begun:
        await send({"type": "websocket.close"})  # which refuses it; the client tries again, elsewhere by then
    else:
        if scope["type"] == "http":
            receive = limit_body(scope, receive)
        scope["headers"] = readable(scope["headers"])
        with shutdown.under_way:
            # Daphne takes a root path from any client's `Daphne-Root-Path`, and Django builds links with it.
            scope["root_path"] = ""
            await by_protocol(scope, receive, send)
