"""Django's own middleware works on the event loop where it does not wait. Where it may, or is unknown, in a thread."""

import threading
from collections.abc import Callable
from functools import wraps
from typing import Any

import httpx
import pytest
from django.conf.urls.i18n import i18n_patterns
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.middleware import SessionMiddleware
from django.core.signals import request_finished, request_started
from django.http import HttpRequest, HttpResponse
from django.middleware.common import CommonMiddleware
from django.middleware.csrf import CsrfViewMiddleware
from django.urls import path
from django.utils.deprecation import MiddlewareMixin
from pytest_django import Settings

from apps.users.models import User
from config import middleware
from config.asgi import by_protocol
from config.handler import Handler
from config.middleware import LocaleMiddleware
from tests.conftest import ApiFor

LOOP = "MainThread"


def greet(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.LANGUAGE_CODE)


urlpatterns = [path("plain/", greet), *i18n_patterns(path("greeting/", greet))]


class Own(MiddlewareMixin):
    def process_request(self, request: HttpRequest) -> None: ...

    def process_response(self, request: HttpRequest, response: HttpResponse) -> HttpResponse:
        return response


class OwnCommon(CommonMiddleware):
    pass


type Threads = Callable[[type, str], list[str]]


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> Threads:
    """`threads(SomeMiddleware, "process_view")`: the threads in which that runs from here on."""

    def watch(owner: type, name: str) -> list[str]:
        seen: list[str] = []
        method = getattr(owner, name)

        @wraps(method)
        def note(*args: Any, **kwargs: Any) -> Any:
            seen.append(threading.current_thread().name)
            return method(*args, **kwargs)

        monkeypatch.setattr(owner, name, note)
        monkeypatch.setitem(by_protocol.application_mapping, "http", Handler())  # which has that method
        return seen

    return watch


async def get(path: str = "/health/", headers: dict[str, str] | None = None) -> httpx.Response:
    """From a handler with the settings of the moment."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=Handler()), base_url="http://testserver") as client:
        return await client.get(path, headers=headers)


async def test_it_works(api: ApiFor, alice: User, threads: Threads) -> None:
    seen = [
        threads(SessionMiddleware, "process_request"),
        threads(SessionMiddleware, "process_response"),
        threads(CsrfViewMiddleware, "process_request"),
        threads(CsrfViewMiddleware, "process_view"),
        threads(CsrfViewMiddleware, "process_response"),
    ]
    client = await api(alice)
    assert await client.data("{ unreadCount }") == {"unreadCount": 0}
    assert [set(each) for each in seen] == [{LOOP}] * 5


@pytest.mark.parametrize("own", [Own, OwnCommon])
async def test_one_that_is_not_known(settings: Settings, threads: Threads, own: type) -> None:
    """A subclass is not: who knows what it overrides."""
    settings.MIDDLEWARE = [f"{__name__}.{own.__name__}"]
    seen = [threads(own, "process_request"), threads(own, "process_response")]
    assert (await get()).status_code == 404
    assert [each[0].startswith("request_") for each in seen] == [True, True]


async def test_a_session_that_is_saved(api: ApiFor, alice: User, threads: Threads) -> None:
    saved, responses = threads(SessionStore, "save"), threads(SessionMiddleware, "process_response")
    client = await api()
    await client.csrf_headers()
    credentials = 'email: "alice@example.com", password: "correct horse battery"'
    await client.data(f"mutation {{ logIn(input: {{ {credentials} }}) {{ __typename }} }}")
    assert saved
    assert LOOP not in saved
    assert [name.startswith("request_") for name in responses] == [False, True]


async def test_a_form(api: ApiFor, alice: User, threads: Threads) -> None:
    """The token against CSRF may be a field of it: all of it is read."""
    client = await api(alice)
    await client.csrf_headers()
    seen = threads(CsrfViewMiddleware, "process_view")
    assert (await client.upload("{ unreadCount }", b"x" * 1_000_000)).data == {"unreadCount": 0}
    assert (await client.post("/accounts/logout/", json={})).status_code == 403  # a page, from a template
    assert [name.startswith("request_") for name in seen] == [True, True]


async def test_a_language_that_is_new(
    api: ApiFor, transactional_db: None, threads: Threads, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(middleware, "_languages", set())
    monkeypatch.setattr(middleware, "MAX_LANGUAGES", 2)
    seen = threads(LocaleMiddleware, "process_request")
    client = await api()
    for language in ("de", "de", "fr", "de", "it", "de"):  # at the third it forgets the others
        answer = await client.get("/accounts/login/", headers={"Accept-Language": language})
        assert answer.headers["Content-Language"] == language
    assert [name.startswith("request_") for name in seen] == [True, False, True, False, True, True]


@pytest.mark.parametrize("path", ["/plain/", "/de/greeting/", "/fr/greeting/", "/greeting/", "/nowhere/"])
async def test_addresses_with_a_language(settings: Settings, path: str) -> None:
    """Where a site has some, they say the language, as with Django's own."""
    settings.ROOT_URLCONF = __name__
    headers = {"Accept-Language": "de"}
    answers = []
    for own in ("config.middleware.LocaleMiddleware", "django.middleware.locale.LocaleMiddleware"):
        settings.MIDDLEWARE = [own]
        answers.append(await get(path, headers))
    ours, plain = answers
    assert (ours.status_code, ours.text, ours.headers) == (plain.status_code, plain.text, plain.headers)
    language = "fr" if path.startswith("/fr") else "de"
    assert ours.headers.get("Content-Language", "de") == language


async def test_who_listens_to_the_signals(api: ApiFor, transactional_db: None) -> None:
    heard: list[Any] = []

    def started(**_: Any) -> None:
        heard.append("started")

    async def finished(**_: Any) -> None:
        heard.append("finished")

    client = await api()
    request_started.connect(started)
    request_finished.connect(finished)
    try:
        await client.ask("{ __typename }")
    finally:
        request_started.disconnect(started)
        request_finished.disconnect(finished)
    assert heard == ["started", "finished"] * 2
