"""Every page, small and large, light and dark: nothing sticks out, and nobody else is asked for anything."""

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.browser.conftest import watched
from tests.processes import Server

pytestmark = pytest.mark.browser

ANYBODY = [
    "/",
    "/accounts/login/",
    "/accounts/signup/",
    "/accounts/password/reset/",
    "/accounts/password/reset/done/",
    "/accounts/password/reset/key/1-expired/",
    "/accounts/confirm-email/",
    "/accounts/confirm-email/expired/",
    "/accounts/inactive/",
]
SIGNED_IN = [
    "/",
    "/notifications/",
    "/settings/",
    "/accounts/email/",
    "/accounts/password/change/",
    "/accounts/logout/",
    "/accounts/reauthenticate/",
]


def assert_nothing_sticks_out(page: Page) -> None:
    too_wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert too_wide == 0, page.url


@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page(
    alice_session: dict[str, str], browser: Browser, server: Server, problems: list[str], scheme: str, width: int
) -> None:
    context = browser.new_context(
        base_url=server.url,
        color_scheme="dark" if scheme == "dark" else "light",
        viewport={"width": width, "height": 800},
    )
    page = watched(context, server, problems).new_page()
    backgrounds = set()

    for path in ANYBODY:
        page.goto(path)
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        assert_nothing_sticks_out(page)
        backgrounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))

    context.add_cookies([{"name": name, "value": value, "url": server.url} for name, value in alice_session.items()])
    for path in SIGNED_IN:
        page.goto(path)
        expect(page.locator(".bell")).to_be_visible()
        page.locator(".bell").click()
        expect(page.locator("#latest")).to_contain_text("Nothing here.")
        assert_nothing_sticks_out(page)
        assert page.title().count("·") == 1, page.title()

    assert backgrounds == {"rgb(20, 23, 26)" if scheme == "dark" else "rgb(246, 244, 238)"}


def test_a_visitor_signs_in_first(visitor: BrowserContext) -> None:
    page = visitor.new_page()
    for path in ("/notifications/", "/settings/"):
        page.goto(path)
        expect(page).to_have_url(f"/accounts/login/?next={path}")


def test_a_page_that_is_not_there(visitor: BrowserContext, problems: list[str]) -> None:
    page = visitor.new_page()
    page.goto("/nowhere/")
    expect(page.get_by_role("heading")).to_have_text("There is no such page.")
    assert "404" in problems.pop()


def test_a_file_that_is_no_picture(alice_browser: BrowserContext) -> None:
    page = alice_browser.new_page()
    page.goto("/")
    page.get_by_label("Choose a picture").set_input_files(
        {"name": "me.jpg", "mimeType": "image/jpeg", "buffer": b"no picture"}
    )
    expect(page.locator("[data-status]")).to_contain_text("This file is no picture")
    expect(page.locator("[data-own-avatar]")).to_have_text(["A", "A"])


def test_settings(alice_browser: BrowserContext) -> None:
    page = alice_browser.new_page()
    page.goto("/settings/")
    page.get_by_label("Display name").fill("Alice Liddell")
    page.get_by_label("About you").fill("Down the rabbit hole.")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#profile-status")).to_have_text("Saved.")
    expect(page.locator("[data-own-avatar]")).to_have_text(["AL", "AL"])

    page.get_by_role("checkbox", name="Announcements: On site").uncheck()
    expect(page.locator("[data-part=preferences] [data-status]")).to_have_text("Saved.")
    page.reload()
    expect(page.get_by_label("About you")).to_have_value("Down the rabbit hole.")
    expect(page.get_by_role("checkbox", name="Announcements: On site")).not_to_be_checked()
