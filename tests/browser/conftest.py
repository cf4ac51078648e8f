"""A real Chromium against a real server process. Whatever a page complains of fails its test."""

import os
import shutil
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from apps.users.models import User
from tests.clients import session_cookies
from tests.processes import Server

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

expect.set_options(timeout=15_000)  # milliseconds


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
def alice_session(alice: User) -> dict[str, str]:
    return session_cookies(alice)


@pytest.fixture
def alice_browser(alice_session: dict[str, str], visitor: BrowserContext, server: Server) -> BrowserContext:
    """The browser of Alice, who is signed in."""
    visitor.add_cookies([{"name": name, "value": value, "url": server.url} for name, value in alice_session.items()])
    return visitor
