"""A socket outlives the request that opened it, and must not outlive the sign-in. Each process asks about its own."""

import asyncio
import json
import logging
from collections.abc import Collection
from typing import NamedTuple
from weakref import WeakKeyDictionary

from channels.db import database_sync_to_async
from django.conf import settings
from django.db import connection
from django.http import HttpRequest
from django.utils import timezone

from apps.accounts.backends import SessionStore, aget_signed_in
from apps.accounts.models import Session
from apps.users.models import User
from config.shutdown import Socket

logger = logging.getLogger(__name__)

FORBIDDEN = 4403


class SignIn(NamedTuple):
    """By which right a socket is open: a session in which that user is signed in. As long as `still_valid` says so."""

    session_key: str
    user_id: int
    password: str
    """As it is stored. The hash in the session, which was compared when the socket was opened, is made of it."""


async def asigned_in(session_key: str) -> User | None:
    """Whoever is signed in in that session, by Django's own checks."""
    request = HttpRequest()
    request.session = session = SessionStore(session_key)
    # Where the hash was made with a former SECRET_KEY, Django would give the session a new key. Nobody can tell the
    # client so here; it learns its new one at its next request.
    session.acycle_key = _stay  # type: ignore[method-assign]
    user = await aget_signed_in(request)
    return user if isinstance(user, User) else None


async def _stay() -> None:
    pass


def still_valid(sign_ins: Collection[SignIn]) -> set[SignIn]:
    """Those whose session has neither ended nor expired, and whose user is active, with the same password.

    In one statement, however many.
    """
    session, user = Session._meta, User._meta
    pairs = {"postgresql": "json_each_text", "sqlite": "json_each"}[connection.vendor]
    now = connection.ops.adapt_datetimefield_value(timezone.now())
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT session.session_key, users.id, users.password FROM {pairs}(%s) AS known"  # noqa: S608 - no input
            f" JOIN {session.db_table} AS session ON session.session_key = known.key AND session.expire_date > %s"
            f" JOIN {user.db_table} AS users ON users.id = CAST(known.value AS bigint) AND users.is_active",
            [json.dumps({one.session_key: one.user_id for one in sign_ins}), now],
        )
        return set(sign_ins).intersection(map(SignIn._make, cursor.fetchall()))


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
