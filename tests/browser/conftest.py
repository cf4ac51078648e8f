"""A real Chromium against a real server process. Whatever a page complains of fails its test."""

import os
import re
import shutil
import time
from collections.abc import Iterator
from email import message_from_bytes, policy
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from apps.users.models import User
from tests.clients import session_cookies
from tests.conftest import PASSWORD
from tests.processes import Server

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",  # tests ask nobody else
]

expect.set_options(timeout=15_000)  # milliseconds


@pytest.fixture
def server(server_of_module: Server) -> Server:
    return server_of_module


@pytest.fixture
def media(media_of_module: Path) -> Path:
    return media_of_module


@pytest.fixture
def browser(server: Server) -> Iterator[Browser]:
    """One for each test: while Playwright runs, so does its event loop in this thread, where the ORM and async tests
    refuse to work. So what a test needs in the database comes from fixtures before this one, or from `manage`.
    """
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if not chromium:
        pytest.fail("No Chromium found: install one, or set CHROMIUM to its path.", pytrace=False)
    with sync_playwright() as playwright, playwright.chromium.launch(executable_path=chromium, args=FLAGS) as browser:
        yield browser


@pytest.fixture
def problems() -> Iterator[list[str]]:
    """What the pages complained of; a test that provokes a complaint takes it out."""
    found: list[str] = []
    yield found
    assert not found, "\n".join(found)


def watched(context: BrowserContext, server: Server, problems: list[str]) -> BrowserContext:
    """Notes errors (a refusal by the Content-Security-Policy is one) and requests to anyone but the server."""
    home = urlsplit(server.url).netloc

    def note_foreign(url: str) -> None:
        if urlsplit(url).netloc not in {home, ""}:  # a `data:` URL asks nobody
            problems.append(f"a request to {url}")

    def note_websockets(page: Page) -> None:
        page.on("websocket", lambda socket: note_foreign(socket.url))

    context.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
    context.on("weberror", lambda error: problems.append(str(error.error)))
    context.on("request", lambda request: note_foreign(request.url))
    context.on("page", note_websockets)
    return context


@pytest.fixture
def visitor(browser: Browser, server: Server, problems: list[str]) -> BrowserContext:
    """The browser of somebody who is not signed in; its `new_page()` is a tab."""
    return watched(browser.new_context(base_url=server.url), server, problems)


@pytest.fixture
def alice(alice: User) -> User:
    """Her password hashed as the server does it; the tests' own way is quicker, and unknown there."""
    hasher = PBKDF2PasswordHasher()
    alice.password = hasher.encode(PASSWORD, hasher.salt())
    alice.save(update_fields=["password"])
    return alice


@pytest.fixture
def alice_session(alice: User) -> dict[str, str]:
    return session_cookies(alice)


@pytest.fixture
def alice_browser(alice_session: dict[str, str], visitor: BrowserContext, server: Server) -> BrowserContext:
    """The browser of Alice, who is signed in."""
    visitor.add_cookies([{"name": name, "value": value, "url": server.url} for name, value in alice_session.items()])
    return visitor


def sign_in(page: Page, path: str = "/") -> None:
    """Alice's address and password, on the page for it; `path` is where that leads unless more is asked for."""
    page.goto(f"/accounts/login/?next={path}")
    page.get_by_label("Email").fill("alice@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign In", exact=True).click()


def sign_out(page: Page) -> None:
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("main").get_by_role("link", name="Sign in")).to_be_visible()


def confirm_password(page: Page) -> None:
    """What allauth asks for before it changes how one signs in."""
    expect(page.get_by_role("heading", level=1)).to_have_text("Confirm Access")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Confirm").click()


def mailed(server: Server, pattern: str) -> str:
    """What first matches in the text of any mail, as soon as there is one."""
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        for mail in server.mail_dir.glob("*"):
            body = message_from_bytes(mail.read_bytes(), policy=policy.default).get_body(("plain",))
            if body and (found := re.search(pattern, body.get_content())):
                return found[0]
        time.sleep(0.05)
    raise AssertionError(f"no mail with {pattern}")
