"""Where an account is signed in: its sessions, when each was last seen, and the devices that it knows."""

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

from allauth.account.adapter import get_adapter
from allauth.usersessions.models import UserSession
from channels.db import database_sync_to_async
from django.db.models import Q
from django.http import HttpRequest
from django.utils import timezone

from apps.accounts.headless import ask
from apps.accounts.models import Device
from apps.users.models import User

MAX_USER_AGENT = 200


@dataclass
class DeviceCookie:
    """What the browser keeps to be known again, as `request.device`; the middleware reads it, and sets it if used."""

    token: str
    used: bool = False

    @classmethod
    def from_value(cls, value: str | None) -> "DeviceCookie":
        return cls(value or secrets.token_urlsafe(16))

    @property
    def token_hash(self) -> str:
        return sha256(self.token.encode()).hexdigest()


def recognise_device(request: HttpRequest, user: User) -> bool:
    """Remembers the device of a sign-in. Returns whether the user should be told: it is new, and not the first one.

    It is known by its cookie, or else by having the address and the software of an earlier sign-in.
    """
    cookie: DeviceCookie = request.device  # type: ignore[attr-defined]
    cookie.used = True
    now_as = {
        "token_hash": cookie.token_hash,
        "user_agent": user_agent_of(request),
        "ip": get_adapter().get_client_ip(request),
        "last_sign_in_at": timezone.now(),
    }
    devices = Device.objects.filter(user=user)
    same = Q(user_agent=now_as["user_agent"], ip=now_as["ip"])
    for known in (devices.filter(token_hash=cookie.token_hash), devices.filter(same)):
        if pk := known.values_list("pk", flat=True).first():
            devices.filter(pk=pk).update(**now_as)
            return False
    is_first = not devices.exists()
    Device.objects.bulk_create([Device(user=user, **now_as)], ignore_conflicts=True)  # of two at the same moment, one
    return not is_first


def user_agent_of(request: HttpRequest) -> str:
    return request.META.get("HTTP_USER_AGENT", "")[:MAX_USER_AGENT]


def list_sessions(user: User, session_key: str | None) -> list[UserSession]:
    """Where the account is signed in, last seen first. `session_key` is the caller's own: that one is `current`."""
    sessions = sorted(UserSession.objects.purge_and_list(user), key=lambda one: one.last_seen_at, reverse=True)
    for session in sessions:
        session.current = session.session_key == session_key
    return sessions


def get_session(user: User, session_key: str | None, pk: int) -> UserSession | None:
    """One of the user's own, as `list_sessions` gives it."""
    return next((session for session in list_sessions(user, session_key) if session.pk == pk), None)


def end_session(request: HttpRequest, pk: int) -> None:
    """Of the caller's own. One that is somebody else's, or has ended, is passed over."""
    _end(request, UserSession.objects.filter(user=request.user, pk=pk))


def end_other_sessions(request: HttpRequest) -> None:
    _end(request, UserSession.objects.filter(user=request.user).exclude(session_key=request.session.session_key))


def _end(request: HttpRequest, sessions: Iterable[UserSession]) -> None:
    if pks := [session.pk for session in sessions]:
        ask(request, "DELETE", "auth/sessions", sessions=pks)


def end_sessions_of(user: User) -> None:
    for session in UserSession.objects.filter(user=user):
        session.end()


alist_sessions = database_sync_to_async(list_sessions)
aget_session = database_sync_to_async(get_session)
aend_session = database_sync_to_async(end_session)
aend_other_sessions = database_sync_to_async(end_other_sessions)
