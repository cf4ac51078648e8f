"""A socket outlives the request that opened it, and must not outlive the sign-in. Each process asks about its own."""

import asyncio
import logging
from collections.abc import Collection
from importlib import import_module
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

from channels.db import database_sync_to_async
from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from apps.users.models import User
from config.shutdown import Socket

logger = logging.getLogger(__name__)

FORBIDDEN = 4403


class SignIn(NamedTuple):
    """By which right a socket is open. As long as `still_valid` says so."""

    user_id: int
    session_key: str
    auth_hash: str

    @classmethod
    async def of(cls, user: User, session: Any) -> "SignIn":
        return cls(user.pk, session.session_key, await session.aget(HASH_SESSION_KEY, ""))


def still_valid(sign_ins: Collection[SignIn]) -> set[SignIn]:
    """Those whose session has neither ended nor expired, and whose user is active, with the same password.

    In two statements, however many.
    """
    sessions = import_module(settings.SESSION_ENGINE).SessionStore.get_model_class().objects
    keys = {one.session_key for one in sign_ins}
    live = set(sessions.filter(pk__in=keys, expire_date__gt=timezone.now()).values_list("pk", flat=True))
    users = User.objects.filter(pk__in={one.user_id for one in sign_ins}, is_active=True)
    hashes = {user.pk: user.get_session_auth_hash() for user in users}
    return {
        one
        for one in sign_ins
        if one.session_key in live and constant_time_compare(one.auth_hash, hashes.get(one.user_id, ""))
    }


class Watch:
    """Ends each socket whose sign-in is no longer valid, at the next turn of its clock."""

    def __init__(self) -> None:
        self._watched: dict[Socket, SignIn] = {}
        self._task: asyncio.Task[None] | None = None

    def add(self, socket: Socket, sign_in: SignIn) -> None:
        self._watched[socket] = sign_in
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    def discard(self, socket: Socket) -> None:
        self._watched.pop(socket, None)

    async def _run(self) -> None:
        while self._watched:
            await asyncio.sleep(settings.NOTIFICATIONS_POLL_SECONDS)
            try:
                watched = dict(self._watched)
                valid = await database_sync_to_async(still_valid)(set(watched.values()))
                for socket, sign_in in watched.items():
                    if sign_in not in valid:
                        await socket.end(FORBIDDEN, "Forbidden")
            except Exception:
                logger.exception("Could not ask whether sign-ins are still valid; will ask again")
        self._task = None


_watches: WeakKeyDictionary[asyncio.AbstractEventLoop, Watch] = WeakKeyDictionary()


def watch() -> Watch:
    """The running event loop's: in a server that is one a process."""
    return _watches.setdefault(asyncio.get_running_loop(), Watch())
