"""Whoever forges a request's host must not get a link of his own mailed to somebody: through a real Daphne process.

Its default trusts a root path from any client, and `ALLOWED_HOSTS` may be wider than was meant.
"""

import json
import re
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from email import message_from_string, policy
from email.message import EmailMessage
from itertools import count
from urllib.parse import urlencode, urlsplit

import pytest
from allauth.account.models import EmailAddress
from django.conf import settings

from apps.accounts.services import create_verified_addresses
from apps.users.models import User
from tests.accounts import operations
from tests.conftest import PASSWORD
from tests.processes import Server

AT_ONCE = 4
CSRF_TOKEN = "t" * 32
EVIL = "evil.example"
HEADERS = {
    "X-Forwarded-Host": EVIL,
    "X-Forwarded-Server": EVIL,
    "X-Original-Host": EVIL,
    "X-Host": EVIL,
    "X-HTTP-Host-Override": EVIL,
    "Forwarded": f"for=1.2.3.4;host={EVIL};proto=https",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Port": "666",
    "X-Forwarded-Prefix": f"//{EVIL}",
    "X-Original-URL": f"https://{EVIL}/",
    "X-Script-Name": f"//{EVIL}",
    "Script-Name": f"//{EVIL}",
    "SCRIPT_NAME": f"//{EVIL}",
    "Referer": f"http://{EVIL}/",
    "Origin": f"http://{EVIL}",
}


@dataclass(frozen=True)
class Forgery:
    name: str
    headers: tuple[tuple[str, str], ...]
    """All that bears on where the request went, `Host` included."""
    target: str = "{path}"
    """What the request line asks for."""


def of_the_host(host: str) -> Iterator[Forgery]:
    """By what `ALLOWED_HOSTS` is asked about. `host` is the site's own."""
    name, port = host.split(":")
    hosts = [EVIL, f"{EVIL}:{port}", f"{name}:666", f"{name}:", f"{name}:{port}.{EVIL}", f"{host}@{EVIL}"]
    hosts += [f"{EVIL}@{host}", f"{EVIL}/{host}", f"{host}/{EVIL}", f"{host}#{EVIL}", f"{host}\t{EVIL}", ""]
    for forged in hosts:
        yield Forgery(f"Host: {forged}", (("Host", forged),))
    yield Forgery("no Host", ())
    yield Forgery("two Hosts", (("Host", host), ("Host", EVIL)))
    yield Forgery("two Hosts, the other way round", (("Host", EVIL), ("Host", host)))
    yield Forgery("a folded Host", (("Host", f"{host}\r\n {EVIL}"),))
    for target in (f"http://{EVIL}{{path}}", f"//{EVIL}{{path}}", f"{EVIL}{{path}}", f"@{EVIL}{{path}}"):
        yield Forgery(f"POST {target}", (("Host", host),), target)
    yield Forgery("everything", (("Host", EVIL), *HEADERS.items()), f"http://{EVIL}{{path}}")


def of_the_rest(host: str) -> Iterator[Forgery]:
    for header, value in HEADERS.items():
        yield Forgery(header, (("Host", host), (header, value)))
    for root in (EVIL, f"//{EVIL}", f"https://{EVIL}", f"/{EVIL}", f"@{EVIL}", f"%2F%2F{EVIL}"):
        yield Forgery(f"Daphne-Root-Path: {root}", (("Host", host), ("Daphne-Root-Path", root)))
    for secure in (host, EVIL):  # where the proxy's word counts, with the Referer that CSRF asks for then
        forged = (("Host", secure), ("X-Forwarded-Proto", "https"), ("Referer", f"https://{secure}/"))
        yield Forgery(f"https at {secure}", forged)


@dataclass(frozen=True)
class Door:
    """A way to have a mail sent."""

    path: str
    body: Callable[[str], str]
    """For an address."""
    setting: Callable[[str], object] = lambda email: None
    """What has to be there before."""

    @property
    def content_type(self) -> str:
        return "application/json" if self.path == "/graphql/" else "application/x-www-form-urlencoded"


def mutation(document: str, **more: str) -> Callable[[str], str]:
    return lambda email: json.dumps({"query": document, "variables": {"email": email, **more}})


def form(**more: str) -> Callable[[str], str]:
    return lambda email: urlencode({"email": email, **more})


def account(email: str) -> None:
    create_verified_addresses([User.objects.create_user(email, PASSWORD)])


def unverified_account(email: str) -> None:
    account(email)
    EmailAddress.objects.filter(email=email).update(verified=False)


DOORS = {
    "requestPasswordReset": Door("/graphql/", mutation(operations.REQUEST_PASSWORD_RESET), account),
    "signUp": Door("/graphql/", mutation(operations.SIGN_UP, password=PASSWORD)),
    "requestEmailVerification": Door("/graphql/", mutation(operations.REQUEST_EMAIL_VERIFICATION), unverified_account),
    "page of password reset": Door("/accounts/password/reset/", form(), account),
    "page of sign-up": Door("/accounts/signup/", form(password1=PASSWORD)),
}


@dataclass
class Request:
    door: str
    forgery: Forgery
    number: int
    status: int = 0

    @property
    def email(self) -> str:
        return f"someone{self.number}@example.com"

    def send(self, server: Server) -> None:
        door = DOORS[self.door]
        body = door.body(self.email)
        headers = [
            *self.forgery.headers,
            ("X-Forwarded-For", f"10.0.{self.number >> 8}.{self.number & 255}"),  # by which rate limits count here
            ("Cookie", f"{settings.CSRF_COOKIE_NAME}={CSRF_TOKEN}"),
            ("X-CSRFToken", CSRF_TOKEN),
            ("Content-Type", door.content_type),
            ("Content-Length", str(len(body))),
            ("Connection", "close"),
        ]
        lines = [f"POST {self.forgery.target.format(path=door.path)} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in headers]
        address = urlsplit(server.url)
        with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
            connection.sendall("\r\n".join([*lines, "", body]).encode())
            answer = b"".join(iter(lambda: connection.recv(65_536), b"")).decode()
        head = answer.partition("\r\n\r\n")[0]
        assert EVIL not in head, (self.door, self.forgery.name, head)
        self.status = int(head.split()[1])
        if door.content_type == "application/json" and self.status == 200:
            assert "errors" not in answer, answer


def mails(server: Server) -> dict[str, list[EmailMessage]]:
    """What a server that has ended has sent, by recipient."""
    found: dict[str, list[EmailMessage]] = {}
    for file in server.mail_dir.glob("*.log"):
        for text in re.split(r"^-{79}\n", file.read_text(), flags=re.MULTILINE):
            if text.strip():
                message = message_from_string(text, policy=policy.default)
                found.setdefault(message["To"], []).append(message)
    return found


def links(message: EmailMessage) -> list[str]:
    """In every part of it."""
    parts = [part for part in message.walk() if part.get_content_maintype() == "text"]
    text = "\n".join(part.get_content() for part in parts)
    assert EVIL not in text
    return [*re.findall(r"\w+://[^\s\"'<>]+", text), *re.findall(r"(?:href|src|action)=[\"']?([^\s\"'>]+)", text)]


@pytest.mark.parametrize("allowed_hosts", ["", "*"], ids=["this host", "any host"])
def test_it_works(start_server: Callable[..., Server], allowed_hosts: str) -> None:
    """Each request is refused, or what it mails leads to this site."""
    changes = {"ALLOWED_HOSTS": allowed_hosts} if allowed_hosts else {}
    server = start_server(DJANGO_SETTINGS_MODULE="tests.quick_settings", TRUSTED_PROXY_COUNT="1", **changes)
    host = urlsplit(server.url).netloc
    numbers = count(1)
    honest = Forgery("nothing forged", (("Host", host),))
    forgeries = [honest, *of_the_host(host), *(of_the_rest(host) if allowed_hosts else ())]
    requests = [Request(door, forgery, next(numbers)) for door in DOORS for forgery in forgeries]
    for request in requests:
        DOORS[request.door].setting(request.email)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(lambda request: request.send(server), requests))
    server.stop()  # and with it, what it had to mail is mailed

    mailed = mails(server)
    for request in requests:
        what = (request.door, request.forgery.name, request.status)
        received = mailed.pop(request.email, [])
        if 400 <= request.status < 500:
            assert received == [], what
            assert request.forgery is not honest, what
        else:
            assert request.status in {200, 302}, what
            [message] = received
            found = links(message)
            assert found, what
            assert [link for link in found if not link.startswith(f"{server.url}/")] == [], what
    assert mailed == {}
