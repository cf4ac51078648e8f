"""Every page, small and large, light and dark: nothing sticks out, and nobody else is asked for anything."""

from collections.abc import Callable
from itertools import count

import pytest
from django.conf import settings
from playwright.sync_api import Browser, BrowserContext, Page, expect

from apps.users.models import User
from tests.accounts.everybody import (
    Cookies,
    Person,
    addresses,
    before_the_mailed_code,
    before_the_second_factor,
    signed_in,
    signed_in_with_mfa,
    signed_in_with_mfa_just_now,
    visitor_with_a_session,
)
from tests.browser.conftest import watched
from tests.conftest import PASSWORD
from tests.processes import Server

pytestmark = pytest.mark.browser

WIDTHS = [390, 1280]
PAGES: dict[Person, list[str]] = {
    visitor_with_a_session: [
        "/",
        "/accounts/login/",
        "/accounts/login/code/",
        "/accounts/signup/",
        "/accounts/password/reset/",
        "/accounts/password/reset/done/",
        "/accounts/password/reset/key/%(uidb36)s-%(key)s/",
        "/accounts/password/reset/key/1-expired/",
        "/accounts/confirm-email/",
        "/accounts/confirm-email/%(key)s/",
        "/accounts/confirm-email/expired/",
        "/accounts/inactive/",
        "/accounts/3rdparty/login/cancelled/",
        *(f"/accounts/{name}/login/" for name in settings.SOCIAL_APPS),
    ],
    before_the_mailed_code: ["/accounts/login/code/confirm/"],
    before_the_second_factor: ["/accounts/2fa/authenticate/"],
    signed_in: [
        "/",
        "/notifications/",
        "/settings/",
        "/settings/delete/",
        "/accounts/email/",
        "/accounts/password/change/",
        "/accounts/logout/",
        "/accounts/reauthenticate/",
        "/accounts/2fa/",
        "/accounts/2fa/webauthn/",
        "/accounts/3rdparty/",
        "/accounts/sessions/",
    ],
    signed_in_with_mfa: ["/accounts/reauthenticate/", "/accounts/2fa/reauthenticate/"],
    signed_in_with_mfa_just_now: [
        "/accounts/2fa/",
        "/accounts/2fa/totp/deactivate/",
        "/accounts/2fa/recovery-codes/",
        "/accounts/2fa/recovery-codes/generate/",
        "/accounts/2fa/webauthn/",
        "/accounts/2fa/webauthn/add/",
        "/accounts/2fa/webauthn/reauthenticate/",
        "/accounts/2fa/webauthn/keys/%(pk)s/edit/",
        "/accounts/2fa/webauthn/keys/%(pk)s/remove/",
    ],
}
UNLABELLED = """
    Array.from(document.querySelectorAll("main :is(input:not([type=hidden]), textarea, select, button, a)"))
        .filter((one) => one.labels?.length ? false : !(one.ariaLabel || one.textContent.trim()))
        .map((one) => one.outerHTML)
"""


@pytest.fixture(scope="module")
def shared_server(start_shared_server: Callable[..., Server]) -> Server:
    """With every provider, so that there are all buttons."""
    return start_shared_server(**{f"{name.upper()}_CLIENT_ID": "test" for name in settings.SOCIAL_APPS})


@pytest.fixture
def visits(transactional_db: None) -> list[tuple[Cookies, list[str]]]:
    """Whose cookies open which pages."""
    numbers = count(1)
    known = {address.template: address for address in addresses()}
    found = []
    for person, paths in PAGES.items():
        user, cookies = next(person(numbers))
        found.append((cookies, [known[path].of(user) if path in known else path for path in paths]))
    return found


def assert_well_made(page: Page) -> None:
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    assert page.evaluate(UNLABELLED) == [], page.url
    assert page.title().count("·") == 1, page.title()
    assert page.title().split("·")[0].strip(), page.url


def assert_nothing_sticks_out(page: Page) -> None:
    too_wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert too_wide == 0, page.url


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page(
    visits: list[tuple[Cookies, list[str]]], browser: Browser, server: Server, problems: list[str], scheme: str
) -> None:
    for cookies, paths in visits:
        context = browser.new_context(base_url=server.url, color_scheme="dark" if scheme == "dark" else "light")
        context.add_cookies([{"name": name, "value": value, "url": server.url} for name, value in cookies.items()])
        page = watched(context, server, problems).new_page()
        for path in paths:
            page.goto(path)
            assert page.url.split("?")[0].endswith((path, "-set-password/")), f"{path} leads to {page.url}"
            assert_well_made(page)
            background = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert background == ("rgb(20, 23, 26)" if scheme == "dark" else "rgb(246, 244, 238)"), path
            for width in WIDTHS:
                page.set_viewport_size({"width": width, "height": 800})
                assert_nothing_sticks_out(page)
                if page.locator(".bell").is_visible():
                    page.locator(".bell").click()
                    expect(page.locator("#latest")).to_contain_text("Nothing here.")
                    assert_nothing_sticks_out(page)
                    page.keyboard.press("Escape")
        context.close()


@pytest.fixture
def alice_without_a_password(alice: User) -> User:
    """As somebody who signed up elsewhere."""
    alice.set_unusable_password()
    alice.save(update_fields=["password"])
    return alice


def test_without_a_password(alice_without_a_password: User, alice_browser: BrowserContext) -> None:
    page = alice_browser.new_page()
    page.goto("/settings/")
    page.get_by_role("link", name="Delete account").click()
    page.get_by_role("link", name="Set a password").click()
    assert_well_made(page)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_label("Password (again)").fill(PASSWORD)
    page.get_by_role("button", name="Set Password").click()
    expect(page.get_by_text("Password successfully set.")).to_be_visible()
    page.goto("/settings/delete/")
    page.get_by_label("Password").fill("not this")
    page.get_by_role("button", name="Delete my account").click()
    expect(page.get_by_text("Incorrect password.")).to_be_visible()
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Delete my account").click()
    expect(page.get_by_text("Your account is deleted.")).to_be_visible()


def test_a_long_address(alice: User, alice_browser: BrowserContext) -> None:
    page = alice_browser.new_page()
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto("/accounts/email/")
    page.get_by_label("Email", exact=True).fill(f"{'alice' * 12}@{'example.' * 5}com")
    page.get_by_role("button", name="Add Email").click()
    expect(page.get_by_text("Unverified")).to_be_visible()
    assert_nothing_sticks_out(page)


def test_the_buttons_lead_where_they_say(visitor: BrowserContext, problems: list[str]) -> None:
    page = visitor.new_page()
    for label, host in {
        "Apple": "appleid.apple.com",
        "GitHub": "github.com",
        "Google": "accounts.google.com",
        "Microsoft": "login.microsoftonline.com",
    }.items():
        page.goto("/accounts/login/")
        with page.expect_request(f"https://{host}/**"):  # which the browser cannot resolve
            page.get_by_role("button", name=f"Continue with {label}").click()
        page.wait_for_url("chrome-error://**")
        assert not [problem for problem in problems if "Content Security Policy" in problem], problems
        problems.clear()


def test_too_often(visitor: BrowserContext, problems: list[str]) -> None:
    page = visitor.new_page()
    for _ in range(30):
        page.goto("/accounts/password/reset/")
        page.get_by_label("Email").fill("nobody@example.com")
        with page.expect_response(lambda answer: answer.request.method == "POST") as answer:
            page.get_by_role("button", name="Reset My Password").click()
        if answer.value.status == 429:
            break
    expect(page.get_by_role("heading", level=1)).to_have_text("That was too often.")
    assert "429" in problems.pop()


def test_a_sign_in_that_failed_elsewhere(visitor: BrowserContext, problems: list[str]) -> None:
    page = visitor.new_page()
    page.goto("/accounts/3rdparty/login/error/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Third-Party Login Failure")
    assert "401" in problems.pop()


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
