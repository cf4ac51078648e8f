"""HTTP over the wire, on every server."""

import json
import re
from email import message_from_bytes
from pathlib import Path

import httpx
import pytest
from django.db import connection

from apps.profiles.models import Profile
from tests.conftest import User
from tests.pictures import phone_jpeg
from tests.servers.clients import Browser, profile_locked
from tests.servers.conftest import Served, eventually, somebody_waits
from tests.site.test_daphne import SET_AVATAR

pytestmark = pytest.mark.servers

MEGABYTE = 1024 * 1024
SIZE = 100 * MEGABYTE
EVIL = {
    "Daphne-Root-Path": "https://evil.example",
    "X-Forwarded-Prefix": "/evil",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Proto": "https",
    "X-Script-Name": "/evil",
}


def test_it_works(served: Served, alice: User) -> None:
    with Browser(served, alice) as browser:
        assert browser.ask("{ me { email } unreadCount }") == {"data": {"me": {"email": alice.email}, "unreadCount": 0}}


def test_without_the_token_against_csrf(served: Served, alice: User) -> None:
    with Browser(served, alice) as browser:
        del browser.headers["X-CSRFToken"]
        refused = browser.post("/graphql/", json={"query": "{ me { email } }"})
    assert (refused.status_code, "data" in refused.json()) == (403, False)


def test_an_upload(served: Served, alice: User) -> None:
    with Browser(served, alice) as browser:
        answer = browser.post(
            "/graphql/",
            data={
                "operations": json.dumps({"query": SET_AVATAR, "variables": {"image": None}}),
                "map": json.dumps({"file": ["variables.image"]}),
            },
            files={"file": ("photo.jpg", phone_jpeg())},
        )
        assert answer.json() == {"data": {"setAvatar": {"__typename": "Profile"}}}
        url = browser.ask("{ me { profile { avatar { url } } } }")["data"]["me"]["profile"]["avatar"]["url"]
        assert browser.get(url).headers["Content-Type"] == "image/webp"


def peak(served: Served) -> int:
    """The most memory that the process which serves has had so far, in bytes."""
    status = Path(f"/proc/{served.pids()[-1]}/status").read_text()
    [line] = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


@pytest.mark.parametrize("how", ["with its length", "in chunks"])
def test_too_large(served: Served, how: str) -> None:
    before = peak(served)
    piece = b"x" * MEGABYTE if how == "with its length" else b"%x\r\n%s\r\n" % (MEGABYTE, b"x" * MEGABYTE)
    with served.connect() as client:
        lines = ["POST /graphql/ HTTP/1.1", f"Host: {served.url.removeprefix('http://')}", "Connection: close"]
        lines.append(f"Content-Length: {SIZE}" if how == "with its length" else "Transfer-Encoding: chunked")
        client.sendall("\r\n".join([*lines, "", ""]).encode())
        try:
            for _ in range(SIZE // MEGABYTE):
                client.sendall(piece)
            client.sendall(b"0\r\n\r\n" if how == "in chunks" else b"")
        except (BrokenPipeError, ConnectionResetError):
            pass  # it has answered already, and hung up
        assert client.makefile("rb").readline().startswith(b"HTTP/1.1 413")
    assert peak(served) - before < 40 * MEGABYTE
    assert httpx.get(f"{served.url}/health/live/").status_code == 200


def test_static_files(served: Served) -> None:
    page = httpx.get(f"{served.url}/accounts/login/")
    assert page.status_code == 200
    files = set(re.findall(r'(?:href|src)="(/static/[^"]+)"', page.text))
    assert files
    for file in files:
        answer = httpx.get(served.url + file)
        assert (answer.status_code, "immutable" in answer.headers["Cache-Control"]) == (200, True)


def test_no_header_tells_where_the_site_is(served: Served, alice: User) -> None:
    with Browser(served) as browser:
        browser.headers["Referer"] = served.url
        page = browser.get("/notifications/", headers=EVIL)
        assert page.status_code == 302
        assert page.headers["Location"].startswith("/accounts/login/")
        assert "evil" not in browser.get("/accounts/login/", headers=EVIL).text
        answer = browser.post("/accounts/password/reset/", data={"email": alice.email}, headers=EVIL)
        assert answer.headers["Location"] == "/accounts/password/reset/done/"
    eventually(lambda: any(served.mail_dir.glob("*")))
    [mail] = served.mail_dir.iterdir()
    eventually(lambda: f"{served.url}/accounts/password/reset/key/" in mail.read_text())
    assert message_from_bytes(mail.read_bytes())["To"] == alice.email
    assert "evil" not in mail.read_text()


@pytest.mark.skipif(connection.vendor == "sqlite", reason="SQLite does not tell that somebody waits for a lock.")
def test_a_client_that_goes_away(served: Served, alice: User) -> None:
    """The mutation that has begun runs to its end; what would come after it is not begun."""
    one, two = (f'{name}: updateProfile(input: {{ bio: "{name}" }}) {{ __typename }}' for name in ("one", "two"))
    with Browser(served, alice) as browser:
        with profile_locked(alice):
            with browser.begin(f"mutation {{ {one} {two} }}") as client:
                _, port = client.getsockname()
                eventually(somebody_waits)
            eventually(lambda: served.clients().get(port, True))  # Hypercorn closes it only when all is done
        eventually(lambda: Profile.objects.get(user=alice).bio == "one")
        assert browser.ask("{ unreadCount }") == {"data": {"unreadCount": 0}}
    assert Profile.objects.get(user=alice).bio == "one"
