"""`info.context`, as `apps.users.types.Context` says what it is: each door has its own."""

import asyncio
from abc import ABC, abstractmethod

from django.http import HttpRequest

from apps.errors import Unauthenticated
from apps.users.models import User


class DoorContext(ABC):
    @abstractmethod
    async def visitor_or_user(self) -> User | None: ...

    async def user(self) -> User:
        if (user := await self.visitor_or_user()) is None:
            raise Unauthenticated("Sign in first.")
        return user


class HttpContext(DoorContext):
    def __init__(self, request: HttpRequest) -> None:
        self.http_request = request
        self._loading = asyncio.Lock()
        self._loaded: object = None
        self._user: User | None = None

    @property
    def session_key(self) -> str | None:
        return self.http_request.session.session_key

    async def visitor_or_user(self) -> User | None:
        async with self._loading:  # the fields of a query ask at the same time; the first one's answer is kept
            if self._loaded is not self.http_request.user:  # who signs in or out meanwhile is another
                self._user = await _load_user(self.http_request)
                self._loaded = self.http_request.user
            return self._user


async def _load_user(request: HttpRequest) -> User | None:
    user = await request.auser()
    request._cached_user = user  # type: ignore[attr-defined]  # what `request.user` would load once more
    return user if isinstance(user, User) else None


class WebSocketContext(DoorContext):
    http_request: HttpRequest | None = None

    def __init__(self, user: User | None, session_key: str | None) -> None:
        self._user = user
        self.session_key = session_key

    async def visitor_or_user(self) -> User | None:
        return self._user
