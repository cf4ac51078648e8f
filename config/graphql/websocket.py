"""GraphQL over a WebSocket: the protocol `graphql-transport-ws`, for those who are signed in."""

import asyncio
from typing import Any

from django.http import HttpRequest
from strawberry.channels import GraphQLWSConsumer
from strawberry.exceptions import ConnectionRejectionError
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import BaseGraphQLTransportWSHandler
from strawberry.subscriptions.protocols.graphql_transport_ws.types import PongMessage

from apps.errors import Unauthenticated
from apps.users.models import User
from config.graphql.flow import Window
from config.graphql.sign_ins import SignIn, watch
from config.shutdown import shutdown

NO_ANSWER = 4408


class WebSocketContext:
    """`info.context` of an operation that came over a WebSocket."""

    http_request: HttpRequest | None = None

    def __init__(self, user: User | None, session_key: str | None) -> None:
        self._user = user
        self.session_key = session_key

    async def visitor_or_user(self) -> User | None:
        return self._user

    async def user(self) -> User:
        if self._user is None:
            raise Unauthenticated("Sign in first.")
        return self._user


class Handler(BaseGraphQLTransportWSHandler[WebSocketContext, None]):
    view: "GraphQLConsumer"

    async def handle_pong(self, message: PongMessage) -> None:
        self.view.window.answered()


class GraphQLConsumer(GraphQLWSConsumer[WebSocketContext, None]):
    graphql_transport_ws_handler_class = Handler
    # Not a place in the channel layer for every socket: each process has one, in `apps.notifications.delivery`.
    channel_layer_alias = ""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.window = Window()
        self._closed = False

    def is_websocket_origin_allowed(self, request: Any, origin: str) -> bool:
        return True  # `config/asgi.py` decided, and more strictly: not by the Host header that the client sends

    async def get_context(self, request: Any, response: Any) -> WebSocketContext:
        user = self.scope["user"]
        return WebSocketContext(user if user.is_authenticated else None, self.scope["session"].session_key)

    async def connect(self) -> None:
        shutdown.sockets.add(self)
        await super().connect()

    async def on_ws_connect(self, context: WebSocketContext) -> Any:
        user = await context.visitor_or_user()
        if user is None:
            raise ConnectionRejectionError
        watch().add(self, await SignIn.of(user, self.scope["session"]))
        return await super().on_ws_connect(context)

    async def end(self, code: int, reason: str) -> None:
        """Closes the socket, and ends its operations."""
        await self.close(code=code, reason=reason)
        self.message_queue.put_nowait({"message": None, "disconnected": True})

    async def disconnect(self, code: int) -> None:
        self._forget()
        await super().disconnect(code)

    async def close(self, code: int | bool | None = None, reason: str | None = None) -> None:
        if not self._closed:
            self._closed = True
            self._forget()
            await super().close(code=code, reason=reason)

    def _forget(self) -> None:
        shutdown.sockets.discard(self)
        watch().discard(self)

    async def send(self, text_data: str | None = None, bytes_data: bytes | None = None, close: bool = False) -> None:
        size = len(text_data or bytes_data or "")
        try:
            if asyncio.current_task() is self.run_task:  # replies of the one who also reads the client's answers
                self.window.reply(size)
            else:
                await self.window.room()
        except TimeoutError:
            await self.end(NO_ANSWER, "No pong")
        if self._closed:  # an operation that has not heard of it yet; after the close comes nothing
            return
        await super().send(text_data, bytes_data, close)
        if self.window.sent(size):
            await super().send('{"type":"ping"}')
