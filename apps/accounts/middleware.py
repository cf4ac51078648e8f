"""What allauth's middleware for sessions does, where a request may be served on the event loop."""

from collections.abc import Callable
from typing import Any

from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.utils.decorators import sync_and_async_middleware

from apps.accounts.activity import awrite_soon, note, write_soon
from apps.accounts.sessions import DeviceCookie

DEVICE_COOKIE = "__Host-device" if settings.HTTPS else "device"
ONE_YEAR = 365 * 24 * 3600


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
            if note(request):
                await awrite_soon()
            return _keep_cookie(request, await get_response(request))

        return async_middleware

    def middleware(request: HttpRequest) -> HttpResponseBase:
        request.device = DeviceCookie.from_value(request.COOKIES.get(DEVICE_COOKIE))  # type: ignore[attr-defined]
        if note(request):
            write_soon()
        return _keep_cookie(request, get_response(request))

    return middleware
