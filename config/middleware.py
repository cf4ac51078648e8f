"""Django's own middleware without threads: on the event loop where it does not wait, in a thread where it may.

`MiddlewareMixin` sends each `process_request` and `process_response` to a thread and back, twenty times a request. What
is here has been read. Everything else, a subclass included, is left to Django, and takes the thread.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.conf.urls.i18n import is_language_prefix_patterns_used
from django.contrib.auth.middleware import AuthenticationMiddleware
from django.contrib.messages.middleware import MessageMiddleware
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.handlers.exception import convert_exception_to_response
from django.http import HttpRequest, HttpResponseBase
from django.middleware import locale
from django.middleware.clickjacking import XFrameOptionsMiddleware
from django.middleware.common import CommonMiddleware
from django.middleware.csp import ContentSecurityPolicyMiddleware
from django.middleware.csrf import CsrfViewMiddleware
from django.middleware.security import SecurityMiddleware
from django.utils import translation
from django.utils.cache import patch_vary_headers

type Predicate = Callable[[HttpRequest], bool]

SAFE_METHODS = {"GET", "HEAD", "OPTIONS", "TRACE"}
MAX_LANGUAGES = 1_000
"""Headers that a process remembers. Past that it forgets them."""

_languages: set[tuple[str | None, ...]] = set()


def _never(request: HttpRequest) -> bool:
    return False


def _saves_session(request: HttpRequest) -> bool:
    session = getattr(request, "session", None)
    return session is not None and (session.modified or settings.SESSION_SAVE_EVERY_REQUEST)


def _has_messages(request: HttpRequest) -> bool:
    messages = getattr(request, "_messages", None)
    return messages is not None and (messages.used or messages.added_new)


def _wanted_languages(request: HttpRequest) -> tuple[str | None, ...]:
    cookie = request.COOKIES.get(settings.LANGUAGE_COOKIE_NAME)
    in_address = request.path_info.lstrip("/").partition("/")[0] if _has_language(request) else None
    return request.META.get("HTTP_ACCEPT_LANGUAGE"), cookie, in_address


def _reads_translations(request: HttpRequest) -> bool:
    """A language that is new to the process is read from files."""
    return _wanted_languages(request) not in _languages


def _has_read_translations(request: HttpRequest) -> bool:
    if _reads_translations(request):
        if len(_languages) >= MAX_LANGUAGES:
            _languages.clear()
        _languages.add(_wanted_languages(request))
    return False


def _keeps_secret_in_session(request: HttpRequest) -> bool:
    return settings.CSRF_USE_SESSIONS


def _reads_form(request: HttpRequest) -> bool:
    """To look for the token. And a refusal may be a page, whose template is a file; that of `/graphql/` is JSON."""
    match = request.resolver_match
    is_json = request.content_type == "application/json" and match is not None and match.view_name == "graphql"
    return settings.CSRF_USE_SESSIONS or not (request.method in SAFE_METHODS or is_json)


class LocaleMiddleware(locale.LocaleMiddleware):
    """Django's, which looks for a language in each address twice, where addresses have one (`i18n_patterns`) or not."""

    def process_request(self, request: HttpRequest) -> None:
        if _has_language(request):
            super().process_request(request)
        else:
            translation.activate(translation.get_language_from_request(request))
            request.LANGUAGE_CODE = translation.get_language()

    def process_response(self, request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
        if _has_language(request):
            return super().process_response(request, response)
        patch_vary_headers(response, ["Accept-Language"])
        response.headers.setdefault("Content-Language", translation.get_language())
        return response


def _has_language(request: HttpRequest) -> bool:
    is_used, _ = is_language_prefix_patterns_used(getattr(request, "urlconf", settings.ROOT_URLCONF))
    return is_used


@dataclass(frozen=True)
class Waits:
    """In which requests a middleware's methods may wait for something."""

    on_request: Predicate = _never
    on_view: Predicate = _never
    on_response: Predicate = _never


KNOWN: dict[type, Waits] = {
    SecurityMiddleware: Waits(),
    ContentSecurityPolicyMiddleware: Waits(),
    SessionMiddleware: Waits(on_response=_saves_session),
    LocaleMiddleware: Waits(on_request=_reads_translations, on_response=_has_read_translations),
    CommonMiddleware: Waits(),
    CsrfViewMiddleware: Waits(_keeps_secret_in_session, _reads_form, _keeps_secret_in_session),
    AuthenticationMiddleware: Waits(),
    MessageMiddleware: Waits(on_response=_has_messages),
    XFrameOptionsMiddleware: Waits(),
}


def is_known(middleware: object) -> bool:
    return type(middleware) in KNOWN


def without_threads(middleware: Any) -> Callable[..., Any]:
    """What `MiddlewareMixin.__acall__` does, for one that `is_known`."""
    waits = KNOWN[type(middleware)]
    process_request = getattr(middleware, "process_request", None)
    process_response = getattr(middleware, "process_response", None)

    async def handler(request: HttpRequest) -> HttpResponseBase:
        response = None
        if process_request:
            if waits.on_request(request):
                response = await sync_to_async(process_request)(request)
            else:
                response = process_request(request)
        response = response or await middleware.get_response(request)
        if process_response:
            if waits.on_response(request):
                return await sync_to_async(process_response)(request, response)
            return process_response(request, response)
        return response

    return convert_exception_to_response(handler)


def view_without_threads(middleware: Any) -> Callable[..., Any]:
    """Its `process_view`, the same way."""
    waits = KNOWN[type(middleware)]

    async def process_view(request: HttpRequest, *args: Any) -> HttpResponseBase | None:
        if waits.on_view(request):
            return await sync_to_async(middleware.process_view)(request, *args)
        return middleware.process_view(request, *args)

    return process_view
