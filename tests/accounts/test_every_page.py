"""Every address that allauth installs, at real server processes, whoever asks and whatever is sent: no error of ours.

allauth is sync code, here also behind an event loop: what goes wrong shows in the server's log, and at its end.
"""

import re
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from itertools import count
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import httpx
import pytest
from django.conf import settings

from tests.accounts.everybody import (
    EVERYBODY,
    Cookies,
    addresses,
    before_the_second_factor,
    signed_in_with_mfa_just_now,
    visitor,
)
from tests.conftest import PASSWORD
from tests.processes import Server

AT_ONCE = 4
END_SECONDS = 10
TROUBLE = re.compile(r"Traceback|SynchronousOnlyOperation|FieldFetchBlocked|never awaited| ERROR | CRITICAL ")
FORM = re.compile(r"(<form[^>]*>)(.*?)</form>", re.DOTALL)
ACTION = re.compile(r' action="(/accounts/[^"?]*)')
FIELD = re.compile(r'<(?:input|textarea|select|button)[^>]* name="([^"]+)"')
CSRF_TOKEN = "t" * 32

NONSENSE_QUERY = "?next=//evil.example/&code=0&state=0&error=0&process=nonsense&email=nul%00&key=nul%00"
NONSENSE_FIELDS = {  # what is typed, and what a script puts where a passkey's answer belongs
    "nul\0": '{"id": 1}',
    "9" * 400: "9" * 5_000,
    "ü" * 3_000: "[" * 50_000,
    "someone@example.com": "[1]",
    "{}": '{"id": "AA", "rawId": "AA", "type": "public-key", "response": {"userHandle": "AA", "signature": "AA",'
    ' "authenticatorData": "AA", "clientDataJSON": "AA", "attestationObject": "AA"}}',
}


class Gunicorn(Server):
    """The same site under WSGI."""

    def command(self, listener: int) -> list[str]:
        return ["gunicorn", f"--bind=fd://{listener}", "--threads=4", "--graceful-timeout=3", "config.wsgi:application"]


@pytest.fixture(params=["daphne", "gunicorn"])
def start(
    request: pytest.FixtureRequest, start_server: Callable[..., Server], static: Path, tmp_path: Path
) -> Iterator[Callable[..., Server]]:
    """With every provider, and a proxy whose word is taken for visitors' addresses: rate limits count by them."""
    always = {f"{name.upper()}_CLIENT_ID": "nonsense" for name in settings.SOCIAL_APPS} | {"TRUSTED_PROXY_COUNT": "1"}
    with ExitStack() as stack:

        def start(**changes: str) -> Server:
            if request.param == "daphne":
                return start_server(**always | changes)
            gunicorn = Gunicorn(tmp_path, static, **always | changes)
            stack.callback(gunicorn.stop)
            return gunicorn

        yield start


class Visit:
    """Of somebody at one address: it is opened in every way, then its form is sent."""

    def __init__(self, who: str, number: int, paths: list[str], cookies: Cookies) -> None:
        self.who = who
        self.number = number
        self.paths = paths
        self.cookies = cookies
        self.answers: dict[tuple[str, str, str], int] = {}

    def pay(self, server: Server, nonsense: dict[str, str]) -> None:
        with client_of(server, self.number, self.cookies) as client:
            pages = [self._note(client.get(path)) for path in self.paths]
            if self._send(client, {}).status_code in (301, 404, 405) or not nonsense:
                return
            self._note(client.get(self.paths[0] + NONSENSE_QUERY))
            forms = {form for page in pages for form in forms_of(page)}
            for typed, credential in nonsense.items():
                for action, fields in forms:
                    self._send(
                        client,
                        dict.fromkeys(fields, typed) | dict.fromkeys(fields & {"credential"}, credential),
                        action,
                    )

    def _send(self, client: httpx.Client, form: dict[str, str], path: str = "") -> httpx.Response:
        token = client.cookies[settings.CSRF_COOKIE_NAME]  # another one after a sign-in
        answer = client.post(path or self.paths[0], data=form, headers={"X-CSRFToken": token})
        return self._note(answer, urlencode(form)[:200])

    def _note(self, answer: httpx.Response, form: str = "") -> httpx.Response:
        self.answers[answer.request.method, answer.request.url.raw_path.decode(), form] = answer.status_code
        return answer


def forms_of(page: httpx.Response) -> set[tuple[str, frozenset[str]]]:
    """Of each form on it where it goes, and what it asks for. Some only have a button."""
    found = set()
    for head, body in FORM.findall(page.text):
        action = ACTION.search(head)
        if fields := frozenset(FIELD.findall(body)) - {"csrfmiddlewaretoken"}:
            found.add((action[1] if action else page.request.url.path, fields))
    return found


def client_of(server: Server, number: int, cookies: Cookies) -> httpx.Client:
    """A browser with these cookies, at an IP address of its own."""
    address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
    client = httpx.Client(
        base_url=server.url,
        headers={"X-Forwarded-For": address},
        timeout=30,
        verify=False,  # there is nothing to verify, and to get ready for it takes as long as two requests
        # Gunicorn may close a connection at the moment when it is used again.
        limits=httpx.Limits(max_keepalive_connections=0 if isinstance(server, Gunicorn) else 1),
    )
    for name, value in (cookies | {settings.CSRF_COOKIE_NAME: CSRF_TOKEN}).items():
        client.cookies.set(name, value, domain="127.0.0.1")
    return client


def test_it_works(start: Callable[..., Server]) -> None:
    server = start(DJANGO_SETTINGS_MODULE="tests.quick_settings")
    numbers = count(1)
    people = {who: who(numbers) for who in EVERYBODY}
    visits = []
    for who, person in people.items():
        for address in addresses():
            user, cookies = next(person)
            own = address.of(user)
            visits.append(Visit(who.__name__, next(numbers), [own, *address.nonsense()], cookies))
    # What is typed meets the same code on both servers, and sooner on this one.
    typing = {visitor.__name__, before_the_second_factor.__name__, signed_in_with_mfa_just_now.__name__}
    nonsense_of = dict.fromkeys(typing, NONSENSE_FIELDS) if type(server) is Gunicorn else {}

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda visit: visit.pay(server, nonsense_of.get(visit.who, {})), visits))

    found = {(visit.who, *what): status for visit in visits for what, status in visit.answers.items()}
    broken = {what: status for what, status in found.items() if status >= 500 or status == 403}
    assert broken == {}
    for who, page in EVERYBODY.items():
        assert found[who.__name__, "GET", page, ""] == 200, "who is who no longer works"
    assert TROUBLE.findall(server.log.read_text()) == []


@pytest.mark.alone
def test_it_ends_while_it_is_asked(start: Callable[..., Server]) -> None:
    """The signal comes while passwords are checked, and while somebody's form is still arriving, byte by byte."""
    server = start()
    with ExitStack() as stack:
        slow = [stack.enter_context(opened(server)) for _ in range(3)]
        slow[0].sendall(b"POST /accounts/lo")
        for connection in slow[1:]:
            connection.sendall(post("/accounts/login/", "login=a", length=100_000))
        busy = [stack.enter_context(opened(server)) for _ in range(6)]
        for number, connection in enumerate(busy):
            form = {"login": f"user{number}@example.com", "password": PASSWORD, "csrfmiddlewaretoken": CSRF_TOKEN}
            connection.sendall(post("/accounts/login/", urlencode(form)))
        assert busy[0].recv(1)  # it is at it
        server.process.send_signal(signal.SIGTERM)
        started = time.monotonic()
        while server.process.poll() is None:
            assert time.monotonic() - started < END_SECONDS, server.log.read_text()
            with suppress(OSError):  # it has hung up
                slow[1].sendall(b"a")
            with suppress(subprocess.TimeoutExpired):
                server.process.wait(0.1)
    assert server.process.returncode == 0
    assert TROUBLE.findall(server.log.read_text()) == []


def opened(server: Server) -> socket.socket:
    address = urlsplit(server.url)
    return socket.create_connection((address.hostname, address.port), timeout=30)


def post(path: str, body: str, length: int | None = None) -> bytes:
    """A form on the wire; with a `length`, so much of it is announced."""
    headers = [
        f"POST {path} HTTP/1.1",
        "Host: 127.0.0.1",
        f"Cookie: {settings.CSRF_COOKIE_NAME}={CSRF_TOKEN}",
        "Content-Type: application/x-www-form-urlencoded",
        f"Content-Length: {len(body) if length is None else length}",
    ]
    return "\r\n".join([*headers, "", body]).encode()
