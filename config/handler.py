"""Django's ASGI handler, with as few visits to threads as a request needs."""

import asyncio
from collections.abc import Callable
from contextlib import closing, suppress
from typing import Any

from asgiref.sync import sync_to_async
from django.core.cache import close_caches
from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler, get_script_prefix
from django.core.handlers.base import reset_urlconf
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, reset_queries
from django.dispatch import Signal
from django.http import HttpResponseBase
from django.urls import set_script_prefix

from config.middleware import is_known, view_without_threads, without_threads
from config.request_threads import request_thread

THREAD = "request_thread"
DONE_ON_THE_THREAD = {reset_queries, close_old_connections}
"""By `request_threads`, if there is a thread."""
DONE_ON_THE_LOOP: list[Callable[..., None]] = [close_caches, reset_urlconf]
"""They wait for nothing."""
KNOWN = {*DONE_ON_THE_THREAD, *DONE_ON_THE_LOOP}
"""All that Django itself has listen to its requests."""


class Processed(Exception):
    pass


class Handler(ASGIHandler):
    def adapt_method_mode(
        self,
        is_async: bool,
        method: Any,
        method_is_async: bool | None = None,
        debug: bool = False,
        name: str | None = None,
    ) -> Callable[..., Any]:
        """Django calls it for each handler, with what that wraps, and for each method of a middleware."""
        wrapped, owner = getattr(method, "__wrapped__", None), getattr(method, "__self__", None)
        if is_async and is_known(wrapped):
            return without_threads(wrapped)
        if is_async and is_known(owner) and method.__name__ == "process_view":
            return view_without_threads(owner)
        return super().adapt_method_mode(is_async, method, method_is_async, debug, name)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        async with request_thread() as scope[THREAD]:
            await self.handle(scope, receive, send)

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        """As Django's, but for how the signals are sent and the response is closed."""
        try:
            body_file = await self.read_body(receive)
        except RequestAborted:
            return
        with closing(body_file):
            set_script_prefix(get_script_prefix(scope))
            await _send(request_started, scope=scope)
            request, refusal = self.create_request(scope, body_file)
            if refusal:
                await self.send_response(refusal, send)
                await _close(refusal)
                return
            response = None
            try:
                try:
                    async with asyncio.TaskGroup() as group:
                        group.create_task(self.listen_for_disconnect(receive))
                        response = await self.run_get_response(request)
                        await self.send_response(response, send)
                        raise Processed
                except* (Processed, RequestAborted):
                    pass
            except BaseExceptionGroup as errors:
                if len(errors.exceptions) == 1:
                    raise errors.exceptions[0] from None
                raise
            if response is None:
                await _send(request_finished)
            else:
                await _close(response)

    async def run_get_response(self, request: Any) -> HttpResponseBase:
        try:
            return await super().run_get_response(request)
        finally:
            request.scope[THREAD].release()  # who reads the answer slowly needs none


_heard: dict[Signal, tuple[list[Any], bool]] = {}


def _is_heard_elsewhere(signal: Signal) -> bool:
    connected, is_heard = _heard.get(signal, ([], False))
    if connected != signal.receivers:
        receivers, async_receivers = signal._live_receivers(Handler)
        is_heard = bool(async_receivers) or not set(receivers) <= KNOWN
        _heard[signal] = list(signal.receivers), is_heard
    return is_heard


async def _send(signal: Signal, **named: Any) -> None:
    """`Signal.asend`; in a thread only where somebody else listens than Django itself."""
    if _is_heard_elsewhere(signal):
        await signal.asend(sender=Handler, **named)
    elif signal is request_finished:
        for receiver in DONE_ON_THE_LOOP:
            receiver(sender=Handler)


async def _close(response: HttpResponseBase) -> None:
    """`response.close()`, which also sends `request_finished`; in a thread if there may be files to close."""
    if response.streaming or _is_heard_elsewhere(request_finished):
        await sync_to_async(response.close)()
        return
    for closer in response._resource_closers:  # type: ignore[attr-defined]
        with suppress(Exception):
            closer()
    response._resource_closers.clear()  # type: ignore[attr-defined]
    response.closed = True
    await _send(request_finished)
