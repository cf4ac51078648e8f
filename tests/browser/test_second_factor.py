"""An authenticator app and recovery codes, from setting them up to signing in with them."""

import re
import time

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from apps.users.models import User
from tests.accounts import totp
from tests.browser.conftest import confirm_password, sign_in, sign_out

pytestmark = pytest.mark.browser


class App:
    """An authenticator app whose owner waits for the next code: the site takes each once."""

    def __init__(self, secret: str) -> None:
        self.secret = secret
        self.last = ""

    def code(self) -> str:
        while (code := totp.code(self.secret)) == self.last:
            time.sleep(0.5)
        self.last = code
        return code


@pytest.fixture
def page(alice: User, visitor: BrowserContext) -> Page:
    """Alice's, signed in with her password."""
    page = visitor.new_page()
    sign_in(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Hello, Alice")
    return page


def set_up(page: Page) -> tuple[App, list[str]]:
    """The app, and the recovery codes that the site shows then."""
    page.goto("/settings/")
    page.get_by_role("link", name="Two-factor authentication").click()
    page.get_by_role("link", name="Set up").click()
    confirm_password(page)
    expect(page.get_by_role("img", name="QR code")).to_have_js_property("complete", True)
    assert page.get_by_role("img", name="QR code").evaluate("image => image.naturalWidth") > 0
    app = App(page.locator("#authenticator_secret").inner_text())
    page.get_by_label("Authenticator code").fill("1")
    page.get_by_role("button", name="Activate").click()
    expect(page.get_by_text("Incorrect code.")).to_be_visible()
    page.get_by_label("Authenticator code").fill(app.code())
    page.get_by_role("button", name="Activate").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Recovery Codes")
    return app, page.locator(".codes li").all_inner_texts()


def test_it_works(page: Page) -> None:
    app, recovery_codes = set_up(page)
    assert len(set(recovery_codes)) == 10
    sign_out(page)

    sign_in(page, "/settings/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Two-Factor Authentication")
    expect(page.get_by_role("button", name="Use a passkey")).to_be_hidden()  # she has none
    page.get_by_label("Code").fill("000000")
    page.get_by_role("button", name="Sign In").click()
    expect(page.get_by_text("Incorrect code.")).to_be_visible()
    page.get_by_label("Code").fill(app.code())
    page.get_by_role("button", name="Sign In").click()
    expect(page).to_have_url("/settings/")


def test_a_recovery_code_once(page: Page) -> None:
    _, recovery_codes = set_up(page)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download codes").click()
    assert download.value.path().read_text().split() == recovery_codes
    sign_out(page)

    sign_in(page)
    page.get_by_label("Code").fill(recovery_codes[0])
    page.get_by_role("button", name="Sign In").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Hello, Alice")
    page.goto("/accounts/2fa/")
    expect(page.get_by_role("main")).to_contain_text("9 left")
    sign_out(page)

    sign_in(page)
    page.get_by_label("Code").fill(recovery_codes[0])
    page.get_by_role("button", name="Sign In").click()
    expect(page.get_by_text("Incorrect code.")).to_be_visible()
    page.get_by_role("button", name="Cancel").click()
    expect(page).to_have_url(re.compile("/accounts/login/"))


def test_new_recovery_codes_and_none(page: Page) -> None:
    _, old = set_up(page)
    page.get_by_role("link", name="Generate new codes").click()
    page.get_by_role("button", name="Generate").click()
    expect(page.get_by_text("A new set of recovery codes has been generated.")).to_be_visible()
    assert set(page.locator(".codes li").all_inner_texts()).isdisjoint(old)

    page.goto("/accounts/2fa/")
    page.get_by_role("link", name="Deactivate").click()
    page.get_by_role("button", name="Deactivate").click()
    expect(page.get_by_role("link", name="Set up")).to_be_visible()
    sign_out(page)
    sign_in(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Hello, Alice")
