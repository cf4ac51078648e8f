"""GraphQL over a WebSocket: the protocol `graphql-transport-ws`, for those who are signed in."""

from typing import Any

from django.http import HttpRequest
from strawberry.channels import GraphQLWSConsumer
from strawberry.exceptions import ConnectionRejectionError

from apps.errors import Unauthenticated
from apps.users.models import User
from config.graphql.sign_ins import SignIn, watch

FORBIDDEN = 4403


class WebSocketContext:
    """`info.context` of an operation that came over a WebSocket."""

    http_request: HttpRequest | None = None

    def __init__(self, user: User | None) -> None:
        self._user = user

    async def visitor_or_user(self) -> User | None:
        return self._user

    async def user(self) -> User:
        if self._user is None:
            raise Unauthenticated("Sign in first.")
        return self._user


class GraphQLConsumer(GraphQLWSConsumer[WebSocketContext, None]):
    # Not a place in the channel layer for every socket: each process has one, in `apps.notifications.delivery`.
    channel_layer_alias = ""

    _closed = False

    def is_websocket_origin_allowed(self, request: Any, origin: str) -> bool:
        return True  # `config/asgi.py` decided, and more strictly: not by the Host header that the client sends

    async def get_context(self, request: Any, response: Any) -> WebSocketContext:
        user = self.scope["user"]
        return WebSocketContext(user if user.is_authenticated else None)

    async def on_ws_connect(self, context: WebSocketContext) -> Any:
        user = await context.visitor_or_user()
        if user is None:
            raise ConnectionRejectionError
        watch().add(self, await SignIn.of(user, self.scope["session"]), self.end)
        return await super().on_ws_connect(context)

    async def end(self) -> None:
        """The sign-in has ended: so do the socket and its operations."""
        await self.close(code=FORBIDDEN, reason="Forbidden")
        await self.disconnect(FORBIDDEN)

    async def disconnect(self, code: int) -> None:
        watch().discard(self)
        await super().disconnect(code)

    async def close(self, code: int | bool | None = None, reason: str | None = None) -> None:
        self._closed = True
        await super().close(code=code, reason=reason)

    async def send(self, *args: Any, **kwargs: Any) -> None:
        if not self._closed:  # an operation that has not heard of it yet; after the close comes nothing
            await super().send(*args, **kwargs)
