"""What allauth's middleware for sessions does, where a request may be served on the event loop."""

import time
from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

from apps.accounts.sessions import SEEN_EVERY, DeviceCookie, arecord_activity, record_activity

DEVICE_COOKIE = "__Host-device" if settings.HTTPS else "device"
ONE_YEAR = 365 * 24 * 3600
MAX_NOTED = 10_000
"""Sessions that a process remembers to have noted. Past that it forgets them, and asks the database once more."""

_noted: dict[str, float] = {}


def _is_due(request: HttpRequest) -> bool:
    """Whether this process has not asked for a minute when this session was seen. Asks neither database nor cache."""
    key, now = request.session.session_key, time.monotonic()
    if key is None or now - _noted.get(key, -SEEN_EVERY.total_seconds()) < SEEN_EVERY.total_seconds():
        return False
    if len(_noted) >= MAX_NOTED:
        _noted.clear()
    _noted[key] = now
    return True


def _keep_cookie(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    device: DeviceCookie = request.device  # type: ignore[attr-defined]
    if device.used:
        response.set_cookie(
            DEVICE_COOKIE, device.token, max_age=ONE_YEAR, secure=settings.HTTPS, httponly=True, samesite="Lax"
        )
    return response


@sync_and_async_middleware
def sessions_middleware(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Notes when sessions are seen, once a minute at most, and keeps the cookie by which a device is known again."""
    if iscoroutinefunction(get_response):

        async def async_middleware(request: HttpRequest) -> HttpResponseBase:
            request.device = DeviceCookie.from_value(request.COOKIES.get(DEVICE_COOKIE))  # type: ignore[attr-defined]
            if _is_due(request):
                await arecord_activity(request)
            return _keep_cookie(request, await get_response(request))

        return async_middleware

    def middleware(request: HttpRequest) -> HttpResponseBase:
        request.device = DeviceCookie.from_value(request.COOKIES.get(DEVICE_COOKIE))  # type: ignore[attr-defined]
        if _is_due(request):
            record_activity(request)
        return _keep_cookie(request, get_response(request))

    return middleware
