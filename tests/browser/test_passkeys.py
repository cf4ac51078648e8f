"""Signing in with what a device keeps, on Chromium's virtual authenticator."""

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import BrowserContext, CDPSession, Page, expect

from apps.users.models import User
from tests.browser.conftest import confirm_password, sign_in, sign_out
from tests.processes import Server

pytestmark = pytest.mark.browser

DEVICE = {
    "protocol": "ctap2",
    "transport": "internal",
    "hasResidentKey": True,
    "hasUserVerification": True,
    "isUserVerified": True,
    "automaticPresenceSimulation": True,
}


@pytest.fixture(scope="module")
def shared_server(start_shared_server: Callable[..., Server]) -> Server:
    """A passkey belongs to a name; an IP address has none."""
    return start_shared_server(HOST="localhost")


class Device:
    """What keeps the passkeys of a page."""

    def __init__(self, page: Page) -> None:
        self.cdp: CDPSession = page.context.new_cdp_session(page)
        self.cdp.send("WebAuthn.enable")
        self.id: str = self.cdp.send("WebAuthn.addVirtualAuthenticator", {"options": DEVICE})["authenticatorId"]

    @property
    def passkeys(self) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.cdp.send("WebAuthn.getCredentials", {"authenticatorId": self.id})[
            "credentials"
        ]
        return found

    def knows_its_owner(self, yes: bool) -> None:
        """Whether the finger is the right one."""
        self.cdp.send("WebAuthn.setUserVerified", {"authenticatorId": self.id, "isUserVerified": yes})


@pytest.fixture
def page(alice: User, visitor: BrowserContext) -> Page:
    """Alice's, signed in with her password."""
    page = visitor.new_page()
    sign_in(page)
    expect(page.get_by_role("heading", level=1)).to_have_text("Hello, Alice")
    return page


@pytest.fixture
def device(page: Page) -> Device:
    return Device(page)


def add_passkey(page: Page, name: str) -> None:
    page.goto("/settings/")
    page.get_by_role("link", name="Passkeys").click()
    page.get_by_role("link", name="Add a passkey").click()
    confirm_password(page)
    page.get_by_label("Name").fill(name)
    page.get_by_role("button", name="Add a passkey").click()
    # The first second factor brings recovery codes.
    expect(page.get_by_role("heading", level=1)).to_have_text("Recovery Codes")
    page.goto("/accounts/2fa/webauthn/")
    expect(page.get_by_role("main").get_by_role("listitem")).to_contain_text(name)


def test_it_works(page: Page, device: Device) -> None:
    add_passkey(page, "My phone")
    [passkey] = device.passkeys
    assert passkey["isResidentCredential"]
    assert passkey["rpId"] == "localhost"
    sign_out(page)

    page.goto("/accounts/login/?next=/settings/")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page).to_have_url("/settings/")
    page.get_by_role("link", name="Passkeys").click()
    expect(page.get_by_role("main").get_by_role("listitem")).to_contain_text("last used")


def test_the_second_factor_after_the_password(page: Page, device: Device) -> None:
    add_passkey(page, "My phone")
    sign_out(page)

    sign_in(page, "/settings/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Two-Factor Authentication")
    page.get_by_role("button", name="Use a passkey").click()
    expect(page).to_have_url("/settings/")


def test_somebody_else_s_finger(page: Page, device: Device) -> None:
    add_passkey(page, "My phone")
    sign_out(page)

    device.knows_its_owner(False)
    page.goto("/accounts/login/")
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_text("No passkey was used. Try again, or choose another way.")).to_be_visible()

    device.knows_its_owner(True)
    page.get_by_role("button", name="Sign in with a passkey").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Hello, Alice")


def test_one_device_keeps_one(page: Page, device: Device) -> None:
    add_passkey(page, "My phone")
    page.get_by_role("link", name="Add a passkey").click()
    page.get_by_role("button", name="Add a passkey").click()
    expect(page.get_by_text("This device has a passkey for your account already.")).to_be_visible()
    assert len(device.passkeys) == 1


def test_rename_and_remove(page: Page, device: Device) -> None:
    add_passkey(page, "My phone")
    row = page.get_by_role("main").get_by_role("listitem")
    row.get_by_role("link", name="Rename My phone").click()
    page.get_by_label("Name").fill("The old phone")
    page.get_by_role("button", name="Save").click()
    row.get_by_role("link", name="Remove The old phone").click()
    page.get_by_role("button", name="Remove").click()
    expect(page.get_by_text("You have no passkey yet.")).to_be_visible()
    sign_out(page)

    page.goto("/accounts/login/")
    page.get_by_role("button", name="Sign in with a passkey").click()  # the device does not know
    expect(page.get_by_text("Incorrect code.")).to_be_visible()
    expect(page).to_have_url("/accounts/login/")
