"""When sessions were last seen, as the page of sessions shows it. No answer waits for it, and many cost one write."""

import time
from contextlib import suppress
from datetime import datetime, timedelta
from importlib import import_module
from typing import NamedTuple

from allauth.account.adapter import get_adapter
from allauth.usersessions.models import UserSession
from channels.db import database_sync_to_async
from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.http import HttpRequest
from django.utils import timezone

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
    sessions = import_module(settings.SESSION_ENGINE).SessionStore.get_model_class().objects
    recent = UserSession.objects.filter(session_key__in=seen, last_seen_at__gt=now - SEEN_EVERY)  # by another process
    written = set(recent.values_list("session_key", flat=True))
    user_ids = {
        session.session_key: session.get_decoded().get(SESSION_KEY)
        for session in sessions.filter(session_key__in=seen.keys() - written, expire_date__gt=now)
    }
    users = User.objects.filter(pk__in=filter(None, user_ids.values())).in_bulk()
    UserSession.objects.bulk_create(
        [
            UserSession(session_key=key, user=users[int(user_id)], **seen[key]._asdict())
            for key, user_id in user_ids.items()
            if user_id and int(user_id) in users  # else of a visitor, or of one who was deleted
        ],
        update_conflicts=True,
        unique_fields=["session_key"],
        update_fields=["user", *_Seen._fields],
    )


awrite_soon = database_sync_to_async(write_soon)
