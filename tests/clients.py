"""Clients of the real ASGI application: what the tests see is what a browser would see."""

import asyncio
import json
from importlib import import_module
from typing import Any, Self

import httpx
from channels.testing import WebsocketCommunicator
from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY

from apps.users.models import User
from config.asgi import application

SUBPROTOCOL = "graphql-transport-ws"


def session_cookies(user: User) -> dict[str, str]:
    """The cookies of a new session in which the user is signed in."""
    session = import_module(settings.SESSION_ENGINE).SessionStore()
    session[SESSION_KEY] = str(user.pk)
    session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
    session[HASH_SESSION_KEY] = user.get_session_auth_hash()
    session.save()
    return {settings.SESSION_COOKIE_NAME: session.session_key}


class Answer:
    """What came back: `data`, or the code of each error."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        body = response.json()
        self.data: Any = body.get("data")
        self.errors: list[dict[str, Any]] = body.get("errors", [])

    @property
    def codes(self) -> list[str]:
        return [error["extensions"]["code"] for error in self.errors]


class Transport(httpx.ASGITransport):
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0)  # as on a server: what the event loop calls begins with the request, not in the test
        return await super().handle_async_request(request)


class Api(httpx.AsyncClient):
    """A client of `/graphql/` with a browser's cookies, the one against CSRF included."""

    def __init__(self, cookies: dict[str, str] | None = None) -> None:
        transport = Transport(app=application)
        super().__init__(transport=transport, base_url=settings.SITE_URL, cookies=cookies)

    async def csrf_headers(self) -> dict[str, str]:
        if settings.CSRF_COOKIE_NAME not in self.cookies:
            await self.post("/graphql/", json={})
        return {"X-CSRFToken": self.cookies[settings.CSRF_COOKIE_NAME]}

    async def ask(self, query: str, **variables: Any) -> Answer:
        """One operation, as JSON."""
        body = {"query": query, "variables": variables}
        return Answer(await self.post("/graphql/", json=body, headers=await self.csrf_headers()))

    async def data(self, query: str, **variables: Any) -> Any:
        """The data of an operation that must succeed."""
        answer = await self.ask(query, **variables)
        assert not answer.errors, answer.errors
        return answer.data

    async def upload(self, query: str, content: bytes, name: str = "me.jpg") -> Answer:
        """One operation with the file as variable `image`, by the GraphQL multipart request specification."""
        form = {
            "operations": json.dumps({"query": query, "variables": {"image": None}}),
            "map": json.dumps({"file": ["variables.image"]}),
        }
        headers = await self.csrf_headers()
        return Answer(await self.post("/graphql/", data=form, files={"file": (name, content)}, headers=headers))


class Socket(WebsocketCommunicator):
    """A WebSocket that speaks graphql-transport-ws. Its `async with` connects it and closes it."""

    def __init__(self, cookies: dict[str, str], origin: str | None = settings.SITE_URL) -> None:
        headers = [(b"cookie", "; ".join(f"{name}={value}" for name, value in cookies.items()).encode())]
        if origin is not None:
            headers.append((b"origin", origin.encode()))
        super().__init__(application, "/graphql/", headers=headers, subprotocols=[SUBPROTOCOL])
        self._operations = 0

    async def __aenter__(self) -> Self:
        assert await self.connect() == (True, SUBPROTOCOL)
        await self.send_json_to({"type": "connection_init"})
        assert await self.receive_json_from() == {"type": "connection_ack"}
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.disconnect(timeout=5)

    async def subscribe(self, query: str, **variables: Any) -> str:
        """Starts an operation; returns its id."""
        self._operations += 1
        operation = str(self._operations)
        payload = {"query": query, "variables": variables}
        await self.send_json_to({"id": operation, "type": "subscribe", "payload": payload})
        return operation

    async def next(self, timeout: float = 5) -> Any:
        """The data of the next event, whichever operation it belongs to."""
        message = await self.receive_json_from(timeout=timeout)
        assert message["type"] == "next", message
        assert "errors" not in message["payload"], message
        return message["payload"]["data"]
