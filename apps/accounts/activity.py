"""When sessions were last seen, as the page of sessions shows it. No answer waits for it, and many cost one write."""

import time
from contextlib import suppress
from datetime import datetime, timedelta
from typing import NamedTuple

from allauth.account.adapter import get_adapter
from allauth.usersessions.models import UserSession
from channels.db import database_sync_to_async
from django.db import IntegrityError
from django.http import HttpRequest
from django.utils import timezone

from apps.accounts.models import Session
from apps.accounts.sessions import user_agent_of
from apps.background import in_background
from apps.users.models import User

SEEN_EVERY = timedelta(minutes=1)
MAX_NOTED = 10_000
"""Sessions that a process remembers to have noted. Past that it forgets them, and notes them once more."""


class _Seen(NamedTuple):
    last_seen_at: datetime
    ip: str
    user_agent: str


_noted: dict[str, float] = {}
_unwritten: dict[str, _Seen] = {}


def note(request: HttpRequest) -> bool:
    """Remembers that the request's session was seen, once a minute. Asks neither database nor cache.

    Returns whether `write_soon` has to be called: it has not been yet, for those that are remembered.
    """
    key, now = request.session.session_key, time.monotonic()
    if key is None or now - _noted.get(key, -SEEN_EVERY.total_seconds()) < SEEN_EVERY.total_seconds():
        return False
    if len(_noted) >= MAX_NOTED:
        _noted.clear()
        _unwritten.clear()  # empty, unless the background has had no time for as long as all these took
    _noted[key] = now
    _unwritten[key] = _Seen(timezone.now(), get_adapter().get_client_ip(request), user_agent_of(request))
    return len(_unwritten) == 1


def write_soon() -> None:
    in_background(_write)


def _write() -> None:
    seen = {}
    with suppress(KeyError):  # one by one until there is none: who is noted meanwhile by the event loop is one of them
        while True:
            key, one = _unwritten.popitem()
            seen[key] = one
    now = timezone.now()
    recent = UserSession.objects.filter(session_key__in=seen, last_seen_at__gt=now - SEEN_EVERY)  # by another process
    written = set(recent.values_list("session_key", flat=True))
    sessions = Session.objects.filter(session_key__in=seen.keys() - written, expire_date__gt=now)
    signed_in = sessions.filter(user__in=User.objects.all())  # not a visitor's, nor of one who was deleted
    notes = [
        UserSession(session_key=key, user_id=user_id, **seen[key]._asdict())
        for key, user_id in signed_in.values_list("session_key", "user_id")
    ]
    with suppress(IntegrityError):  # for one who was deleted since; the others are noted again in a minute
        UserSession.objects.bulk_create(
            notes, update_conflicts=True, unique_fields=["session_key"], update_fields=["user", *_Seen._fields]
        )


awrite_soon = database_sync_to_async(write_soon)
