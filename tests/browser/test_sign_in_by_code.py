"""Signing in without the password, by a code that comes by mail."""

import pytest
from playwright.sync_api import BrowserContext, expect

from apps.users.models import User
from tests.browser.conftest import mailed
from tests.processes import Server

pytestmark = pytest.mark.browser

CODE = r"\b[A-Z0-9]{4}-[A-Z0-9]{4}\b"


def test_it_works(alice: User, visitor: BrowserContext, server: Server) -> None:
    page = visitor.new_page()
    page.goto("/accounts/login/?next=/settings/")
    expect(page.get_by_text("Continue with")).to_have_count(0)  # this server has no provider's key
    page.get_by_role("link", name="Mail me a code").click()
    page.get_by_label("Email").fill(alice.email)
    page.get_by_role("button", name="Request Code").click()
    expect(page.get_by_role("main")).to_contain_text(f"We've sent a code to {alice.email}")

    page.get_by_label("Code").fill("WRONG")
    page.get_by_role("button", name="Confirm").click()
    expect(page.get_by_text("Incorrect code.")).to_be_visible()

    page.get_by_label("Code").fill(mailed(server, CODE))
    page.get_by_role("button", name="Confirm").click()
    expect(page).to_have_url("/settings/")


def test_an_address_without_an_account(visitor: BrowserContext, server: Server) -> None:
    page = visitor.new_page()
    page.goto("/accounts/login/code/")
    page.get_by_label("Email").fill("nobody@example.com")
    page.get_by_role("button", name="Request Code").click()
    expect(page.get_by_role("main")).to_contain_text("We've sent a code to nobody@example.com")
    assert "there is none with this address" in mailed(server, r"(?s).+")
