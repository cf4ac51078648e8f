"""No body of a request is larger than `MAX_BODY_BYTES`: what is over is refused with 413, and never kept anywhere."""

from collections.abc import Awaitable, Callable, MutableMapping
from http import HTTPStatus
from typing import Any

from asgiref.sync import iscoroutinefunction
from daphne.http_protocol import WebRequest
from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import reverse
from django.utils.decorators import sync_and_async_middleware

from config.graphql.http import refuse

type Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

CUT_OFF = "body_cut_off"
END: MutableMapping[str, Any] = {"type": "http.request", "body": b"", "more_body": False}


def limit_body(scope: MutableMapping[str, Any], receive: Receive) -> Receive:
    """`receive`, with no more of the body than is allowed; `scope` notes what was cut off."""
    length = dict(scope["headers"]).get(b"content-length", b"0")
    scope[CUT_OFF] = not length.isdigit() or int(length) > settings.MAX_BODY_BYTES
    received = 0
    ended = False

    async def limited() -> MutableMapping[str, Any]:
        nonlocal received, ended
        message = END if scope[CUT_OFF] and not ended else await receive()
        while ended and message["type"] == "http.request":
            message = await receive()  # dropped: for the application the body has ended
        received += len(message.get("body", b""))
        if received > settings.MAX_BODY_BYTES and not ended:
            scope[CUT_OFF] = True
            message = END
        ended = not message.get("more_body", False)
        return message

    return limited


def limit_daphne() -> None:
    """Daphne receives a body whole before the application hears of it. From here on it drops what is over.

    And it leaves forms to Django: Twisted would parse each of them too, on the event loop, which takes it two seconds
    for 8 MB of the wrong kind.
    """
    keep = WebRequest.handleContentChunk
    receive = WebRequest.requestReceived

    def handle_content_chunk(self: WebRequest, data: bytes) -> None:
        room = settings.MAX_BODY_BYTES + 1 - self.content.tell()
        if room > 0:
            keep(self, data[:room])

    def request_received(self: WebRequest, *args: Any) -> None:
        self._parsePOSTFormSubmission = False
        receive(self, *args)

    WebRequest.handleContentChunk = handle_content_chunk
    WebRequest.requestReceived = request_received


@sync_and_async_middleware
def body_limit_middleware(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Refuses what was cut off: as JSON where JSON is spoken."""
    if iscoroutinefunction(get_response):

        async def async_middleware(request: HttpRequest) -> HttpResponseBase:
            return _refusal(request) if _is_cut_off(request) else await get_response(request)

        return async_middleware

    def middleware(request: HttpRequest) -> HttpResponseBase:
        return _refusal(request) if _is_cut_off(request) else get_response(request)

    return middleware


def _is_cut_off(request: HttpRequest) -> bool:
    if (scope := getattr(request, "scope", None)) is not None:  # ASGI; unmarked by whoever asks Django itself
        return bool(scope.get(CUT_OFF, False))
    return int(request.META.get("CONTENT_LENGTH") or 0) > settings.MAX_BODY_BYTES  # WSGI: not read yet


def _refusal(request: HttpRequest) -> HttpResponseBase:
    message = f"A request may have at most {settings.MAX_BODY_BYTES:,} bytes."
    if request.path != reverse("graphql"):
        return HttpResponse(message, status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE, content_type="text/plain")
    return refuse(request, message, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
