"""The whole story, as somebody new would live it."""

import re
from io import BytesIO
from math import dist

import pytest
from django.core.files.base import ContentFile
from PIL import Image
from playwright.sync_api import BrowserContext, Locator, Page, expect

from apps.profiles.services import set_avatar
from apps.users.models import User
from tests.browser.conftest import mailed
from tests.processes import Server, manage

pytestmark = pytest.mark.browser

RED, GREEN, BLUE, YELLOW = (220, 30, 30), (30, 180, 60), (30, 60, 220), (240, 220, 40)
PASSWORD = "correct horse battery"


def phone_picture() -> bytes:
    """Upright: red green over blue yellow. Stored as a phone does: lying on its side, and a note which side is up."""
    upright = Image.new("RGB", (600, 800))
    for color, corner in zip((RED, GREEN, BLUE, YELLOW), ((0, 0), (300, 0), (0, 400), (300, 400)), strict=True):
        upright.paste(color, (*corner, corner[0] + 300, corner[1] + 400))
    exif = Image.Exif()
    exif[0x0112] = 6  # "turn me a quarter clockwise"
    buffer = BytesIO()
    upright.transpose(Image.Transpose.ROTATE_90).save(buffer, "JPEG", quality=95, exif=exif)
    return buffer.getvalue()


def colors_shown(image: Locator) -> list[tuple[int, ...]]:
    """The named color nearest to each corner: top left, top right, bottom left, bottom right."""
    pixels: list[list[int]] = image.evaluate(
        """async (image) => {
            await image.decode();
            const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
            const context = canvas.getContext("2d");
            context.drawImage(image, 0, 0);
            const at = (x, y) => [...context.getImageData(x * canvas.width, y * canvas.height, 1, 1).data].slice(0, 3);
            return [at(0.1, 0.1), at(0.9, 0.1), at(0.1, 0.9), at(0.9, 0.9)];
        }"""
    )
    return [min((RED, GREEN, BLUE, YELLOW), key=lambda color: dist(color, pixel)) for pixel in pixels]


def unread(page: Page, count: int) -> None:
    expect(page.locator(".bell")).to_have_attribute("data-unread-count", str(count))


@pytest.fixture
def bob_with_a_picture(bob: User) -> User:
    picture = BytesIO()
    Image.new("RGB", (100, 100), BLUE).save(picture, "PNG")
    set_avatar(bob, ContentFile(picture.getvalue()))
    return bob


def test_from_sign_up_to_a_live_notification(bob_with_a_picture: User, visitor: BrowserContext, server: Server) -> None:
    page = visitor.new_page()

    page.goto("/")
    page.get_by_role("main").get_by_role("link", name="Sign up").click()
    page.get_by_label("Display name").fill("Carol Danvers")
    page.get_by_label("Email").fill("carol@example.com")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign Up").click()
    expect(page.get_by_role("heading")).to_have_text("Verify Your Email Address")

    page.goto(mailed(server, rf"{re.escape(server.url)}/accounts/confirm-email/[^/\s]+/"))
    page.get_by_role("button", name="Confirm").click()

    if page.url.endswith("/login/"):
        page.get_by_label("Email").fill("carol@example.com")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign In", exact=True).click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Hello, Carol Danvers")

    own = page.locator("[data-own-avatar]")
    expect(own).to_have_text(["CD", "CD"])
    page.get_by_label("Choose a picture").set_input_files(
        {"name": "me.jpg", "mimeType": "image/jpeg", "buffer": phone_picture()}
    )
    expect(page.locator("[data-status]")).to_have_text("Your picture is changed.")
    expect(own.locator("img")).to_have_count(2)
    for image in own.locator("img").all():
        assert colors_shown(image) == [RED, GREEN, BLUE, YELLOW]

    other_tab = visitor.new_page()
    other_tab.goto("/settings/")
    before = int(page.locator(".bell").get_attribute("data-unread-count") or 0)
    for tab in (page, other_tab):
        unread(tab, before)

    manage("notify", "carol@example.com", "--title", "Lunch?", "--actor", bob_with_a_picture.email)
    for tab in (page, other_tab):
        unread(tab, before + 1)
        expect(tab.locator(".bell")).to_have_accessible_name(f"Notifications, {before + 1} unread")
        tab.locator(".bell").click()
        lunch = tab.locator("#latest .notification").first
        expect(lunch).to_contain_text("Lunch?")
        expect(lunch.get_by_role("img", name="Bob").locator("img")).to_have_js_property("complete", True)
        assert set(colors_shown(lunch.locator("img"))) == {BLUE}

    page.locator("#latest").get_by_role("button", name="Lunch?").click()
    for tab in (page, other_tab):
        unread(tab, before)

    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("main").get_by_role("link", name="Sign in")).to_be_visible()
    expect(other_tab.get_by_role("alert")).to_contain_text("You have been signed out.")
