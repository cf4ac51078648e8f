"""The inbox page, and the connection that keeps every page's inbox equal to the server's."""

import json
import time
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, FilePayload, Page, WebSocketRoute, expect

from apps.notifications.kinds import Announcement
from apps.notifications.services import notify
from apps.users.models import User
from tests.clients import session_cookies
from tests.pictures import phone_jpeg
from tests.processes import Server, manage

pytestmark = pytest.mark.browser


@pytest.fixture
def news(alice: User, bob: User) -> None:
    """25 of Bob's announcements to Alice: more than a page."""
    for number in range(25):
        notify([alice], Announcement(title=f"News {number}", url="/settings/" if number == 24 else ""), actor=bob)


@pytest.fixture
def bob_session(bob: User) -> dict[str, str]:
    return session_cookies(bob)


@pytest.fixture
def inbox(news: None, alice_browser: BrowserContext) -> Page:
    page = alice_browser.new_page()
    page.goto("/notifications/")
    expect(page.get_by_role("main").get_by_role("listitem")).to_have_count(20)
    return page


def unread(page: Page, count: int) -> None:
    expect(page.locator(".bell")).to_have_attribute("data-unread-count", str(count))


def test_pages_and_states(inbox: Page) -> None:
    items = inbox.get_by_role("main").get_by_role("listitem")
    inbox.get_by_role("button", name="Load more").click()
    expect(items).to_have_count(25)
    expect(inbox.get_by_role("button", name="Load more")).to_be_hidden()
    expect(items.last).to_contain_text("News 0")

    items.first.get_by_role("button", name="Mark as read").click()
    unread(inbox, 24)
    inbox.get_by_role("radio", name="Unread").check()
    expect(items.first).to_contain_text("News 23")
    inbox.get_by_role("button", name="Load more").click()
    expect(items).to_have_count(24)

    items.first.get_by_role("button", name="Archive").click()
    expect(items.first).to_contain_text("News 22")
    expect(items.first.get_by_role("button", name="News 22")).to_be_focused()
    inbox.get_by_role("radio", name="Archived").check()
    expect(items).to_have_count(1)
    expect(items).to_contain_text("News 23")


def test_a_new_picture_of_somebody_is_seen_everywhere(
    bob_session: dict[str, str], inbox: Page, browser: Browser, server: Server
) -> None:
    """At the next event: also beside what was there before."""
    pictures = inbox.get_by_role("main").get_by_role("listitem").locator("img")
    expect(pictures).to_have_count(0)
    with browser.new_context(base_url=server.url) as bob:
        bob.add_cookies([{"name": name, "value": value, "url": server.url} for name, value in bob_session.items()])
        page = bob.new_page()
        page.goto("/settings/")
        picture: FilePayload = {"name": "me.jpg", "mimeType": "image/jpeg", "buffer": phone_jpeg()}
        page.get_by_label("Choose a picture").set_input_files(picture)
        expect(page.get_by_text("Your picture is changed.")).to_be_visible()
    manage("notify", "alice@example.com", "--title", "Look!", "--actor", "bob@example.com")
    expect(pictures).to_have_count(20)
    addresses = {image.get_attribute("src") for image in pictures.all()}
    assert len(addresses) == 1


def test_mark_all_as_read(inbox: Page) -> None:
    unread(inbox, 25)
    inbox.get_by_role("button", name="Mark all as read", exact=True).click()
    unread(inbox, 0)
    expect(inbox.locator(".badge")).to_be_hidden()
    inbox.get_by_role("radio", name="Unread").check()
    expect(inbox.get_by_role("main").get_by_text("Nothing here.")).to_be_visible()


def test_a_click_marks_it_read_and_leads_on(inbox: Page) -> None:
    inbox.get_by_role("main").get_by_role("link", name="News 24").click()
    inbox.wait_for_url("**/settings/")
    unread(inbox, 24)


class Line:
    """The page's WebSocket with somebody on the line, who hears what the page says and can cut in."""

    def __init__(self, page: Page, *, answer: dict[str, Any] | None = None) -> None:
        self.page = page
        self.cursors: list[int | None] = []
        self.routes: list[WebSocketRoute] = []
        self.answer = answer
        page.route_web_socket("**/graphql/", self.connect)

    def connect(self, page_side: WebSocketRoute) -> None:
        server_side = page_side.connect_to_server()
        self.routes.append(page_side)

        def heard(text: str | bytes) -> None:
            message = json.loads(text)
            if message["type"] == "subscribe":
                self.cursors.append(message["payload"]["variables"]["after"])
                if answer := self.answer:
                    self.answer = None
                    page_side.send(json.dumps(answer | {"id": message["id"]}))
                    return
            server_side.send(text)

        page_side.on_message(heard)

    def wait_for_cursors(self, count: int) -> None:
        deadline = time.monotonic() + 5
        while len(self.cursors) < count:
            assert time.monotonic() < deadline, f"only {self.cursors}"
            self.page.wait_for_timeout(20)  # milliseconds, in which the page's messages come in

    def cut(self, code: int) -> None:
        self.routes[-1].close(code=code)


def test_it_comes_back_with_its_cursor_and_misses_nothing(news: None, alice_browser: BrowserContext) -> None:
    page = alice_browser.new_page()
    line = Line(page)
    page.goto("/")
    manage("notify", "alice@example.com", "--title", "Live")
    unread(page, 26)
    line.cut(code=4503)
    manage("notify", "alice@example.com", "--title", "Meanwhile")
    unread(page, 27)
    expect(page.get_by_role("main").get_by_role("listitem").first).to_contain_text("Meanwhile")
    first, second = line.cursors
    assert first is not None
    assert second is not None
    assert second > first


def test_an_expired_cursor_begins_anew(news: None, alice_browser: BrowserContext) -> None:
    page = alice_browser.new_page()
    error = {"message": "Too old.", "extensions": {"code": "CURSOR_EXPIRED"}}
    line = Line(page, answer={"type": "error", "payload": [error]})
    page.goto("/")
    manage("notify", "alice@example.com", "--title", "Live")
    unread(page, 26)  # which the page may have from its second beginning already
    line.wait_for_cursors(2)


def test_who_is_signed_out_is_told_so_and_does_not_come_back(news: None, alice_browser: BrowserContext) -> None:
    page = alice_browser.new_page()
    page.clock.install()
    line = Line(page)
    page.goto("/")
    expect(page.get_by_role("main").get_by_role("listitem").first).to_be_visible()
    line.cut(code=4403)
    expect(page.get_by_role("alert")).to_contain_text("You have been signed out.")
    page.clock.fast_forward("10:00")
    assert len(line.routes) == 1
