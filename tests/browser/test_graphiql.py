"""GraphiQL: in development, from this site's own files, and both doors open."""

from collections.abc import Callable

import httpx
import pytest
from playwright.sync_api import BrowserContext, Locator, Page, expect

from tests.processes import Server, manage

pytestmark = pytest.mark.browser

A_BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.fixture(scope="module")
def shared_server(start_shared_server: Callable[..., Server]) -> Server:
    return start_shared_server(DEBUG="1")


@pytest.fixture
def graphiql(alice_browser: BrowserContext) -> Page:
    page = alice_browser.new_page()
    page.goto("/graphql/")
    return page


def write(page: Page, document: str) -> None:
    """In place of what is there; GraphiQL reads a document when nobody has typed for 0.1 s."""
    page.get_by_role("region", name="Query Editor").locator(".CodeMirror").click()
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.insert_text(document)
    page.wait_for_function("(document) => localStorage.getItem('graphiql:query') === document", arg=document)


def run(page: Page) -> None:
    page.get_by_role("button", name="Execute query").click()


def answer(page: Page) -> Locator:
    return page.get_by_role("region", name="Result Window")


def test_it_works(graphiql: Page) -> None:
    """The query that is there to begin with, in a browser that has no CSRF cookie before this page."""
    run(graphiql)
    expect(answer(graphiql)).to_contain_text('"email": "alice@example.com"')


def test_it_knows_the_schema(graphiql: Page) -> None:
    graphiql.get_by_role("button", name="Show Documentation Explorer").click()
    graphiql.get_by_role("link", name="Subscription").first.click()
    expect(graphiql.get_by_role("region", name="Documentation Explorer")).to_contain_text("inboxChanged")


def test_a_subscription(graphiql: Page) -> None:
    write(graphiql, "subscription { inboxChanged { sequence unreadCount } }")
    run(graphiql)
    expect(answer(graphiql)).to_contain_text('"unreadCount": 0')
    manage("notify", "alice@example.com", "--title", "Hello")
    expect(answer(graphiql)).to_contain_text('"unreadCount": 1')
    graphiql.get_by_role("button", name="Stop query").click()
    expect(graphiql.get_by_role("button", name="Execute query")).to_be_visible()


def test_what_is_wrong_can_be_read(graphiql: Page) -> None:
    write(graphiql, "subscription { inboxChanged(after: 999) { sequence } }")
    run(graphiql)
    expect(answer(graphiql)).to_contain_text("BAD_CURSOR")
    write(graphiql, "{ nonsense }")
    run(graphiql)
    expect(answer(graphiql)).to_contain_text("GRAPHQL_VALIDATION_FAILED")


def test_a_visitor_is_told_to_sign_in(visitor: BrowserContext) -> None:
    page = visitor.new_page()
    page.goto("/graphql/")
    write(page, "subscription { inboxChanged { sequence } }")
    run(page)
    expect(answer(page)).to_contain_text("you are not signed in")


def test_menus_and_dialogs(graphiql: Page) -> None:
    """They add a <style>, for which the page's policy has a nonce."""
    write(graphiql, "query Mine { me { email } } query Unread { unreadCount }")
    run(graphiql)
    graphiql.get_by_role("menuitem", name="Unread").click()
    expect(answer(graphiql)).to_contain_text('"unreadCount": 0')
    graphiql.get_by_role("button", name="Open settings dialog").click()
    expect(graphiql.get_by_role("dialog")).to_contain_text("Theme")
    assert graphiql.locator("style").count() == 1


def test_on_a_phone(graphiql: Page) -> None:
    """All of it fits, the answer below the query; light or dark as the system is."""
    graphiql.set_viewport_size({"width": 390, "height": 844})
    run(graphiql)
    expect(answer(graphiql)).to_contain_text("alice@example.com")
    graphiql.get_by_role("button", name="Show Documentation Explorer").click()
    assert graphiql.evaluate("document.documentElement.scrollWidth") == 390
    width = answer(graphiql).evaluate("(one) => one.clientWidth")
    assert width > 250
    for scheme, background in {"light": "rgb(255, 255, 255)", "dark": "rgb(33, 42, 59)"}.items():
        graphiql.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        expect(graphiql.locator(".graphiql-container")).to_have_css("background-color", background)


def test_programs_are_told_to_post(server: Server) -> None:
    for accept in ("*/*", "application/json", "application/json, text/html;q=0.9"):
        response = httpx.get(f"{server.url}/graphql/", headers={"Accept": accept})
        assert response.status_code == 405, accept
    policy = httpx.get(f"{server.url}/graphql/", headers=A_BROWSER).headers["Content-Security-Policy"]
    assert "unsafe" not in policy


def test_not_in_production(start_server: Callable[..., Server]) -> None:
    response = httpx.get(f"{start_server().url}/graphql/", headers=A_BROWSER)
    assert response.status_code == 405
    assert response.headers["Allow"] == "POST"
    assert response.json()["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
