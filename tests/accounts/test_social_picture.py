"""The picture that somebody has at GitHub."""

import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
from django.core.files.base import ContentFile
from PIL import Image

from apps.profiles.models import avatar_file
from apps.profiles.services import MAX_UPLOAD, profile_of, remove_avatar, set_avatar
from apps.users.models import User
from tests.accounts.github import GitHub, sign_in
from tests.pictures import encode, quadrants
from tests.processes import Server

PICTURE = encode(quadrants(), "PNG")


def start(start_server: Callable[..., Server], github: GitHub, **changes: str) -> Server:
    github.user["avatar_url"] = f"{github.url}/picture"
    ours = {"GITHUB_CLIENT_ID": "our-id", "GITHUB_CLIENT_SECRET": "our-secret", "GITHUB_URL": github.url}
    trusted = {"OUTGOING_TRUSTED": "127.0.0.1", "BACKGROUND_THREADS": "0"}  # done when the answer is there
    return start_server(**ours | trusted | changes)


@pytest.fixture
def site(start_server: Callable[..., Server], github: GitHub) -> Server:
    return start(start_server, github)


def come_in(site: Server) -> None:
    """Signs in, with a new browser."""
    with httpx.Client(base_url=site.url, timeout=30) as client:
        assert sign_in(client).headers["location"] == "/"
        assert client.get("/settings/").status_code == 200


def avatar() -> str:
    return profile_of(User.objects.get()).avatar


def test_it_works(site: Server, github: GitHub, media: Path) -> None:
    github.picture = PICTURE
    come_in(site)
    with Image.open(media / avatar_file(avatar(), 512)) as image:
        assert (image.format, image.size) == ("WEBP", (512, 512))
    first = avatar()
    come_in(site)
    assert avatar() == first
    assert github.paths.count("/picture") == 1


def test_nobody_waits_for_it(start_server: Callable[..., Server], github: GitHub) -> None:
    site = start(start_server, github, BACKGROUND_THREADS="2")
    github.picture = PICTURE
    github.picture_given.clear()
    come_in(site)
    assert github.picture_asked.acquire(timeout=20)
    assert avatar() == ""
    github.picture_given.set()
    deadline = time.monotonic() + 20
    while not avatar():
        assert time.monotonic() < deadline, site.log.read_text()


def test_what_is_none_fails_no_sign_in_and_is_tried_again(site: Server, github: GitHub, media: Path) -> None:
    page, small = b"<html>", encode(quadrants(16, 16), "PNG")
    for nothing in (b"", page, small, PICTURE[:200], bytes(MAX_UPLOAD + 1)):
        github.picture = nothing
        come_in(site)
        assert avatar() == ""
    log = site.log.read_text()
    assert log.count("No picture from github for user") == 5
    assert "Traceback" not in log
    assert not [path for path in media.rglob("*") if path.is_file()]
    github.picture = PICTURE
    come_in(site)
    assert avatar()


def test_the_address_may_be_anything(site: Server, github: GitHub) -> None:
    redirecting = "http://127.0.0.2:1/"
    for url in (None, 7, "", "picture", {"url": "x"}, "file:///etc/passwd", "http://169.254.169.254/", redirecting):
        github.user["avatar_url"] = url
        come_in(site)
        assert avatar() == ""
    assert "Traceback" not in site.log.read_text()


def test_nor_is_this_machine_asked(start_server: Callable[..., Server], github: GitHub) -> None:
    site = start(start_server, github, OUTGOING_TRUSTED="")
    github.picture = PICTURE
    come_in(site)
    assert avatar() == ""
    assert "/picture" not in github.paths
    assert "not public" in site.log.read_text()


def test_a_server_that_hangs(site: Server, github: GitHub) -> None:
    """Even where the sign-in waits for it, that has an end."""
    github.picture_given.clear()
    come_in(site)
    assert avatar() == ""
    github.picture_given.set()


def test_one_s_own_stays(site: Server, github: GitHub) -> None:
    come_in(site)
    github.picture = PICTURE
    user = User.objects.get()
    own = set_avatar(user, ContentFile(encode(quadrants(), "JPEG"))).avatar
    come_in(site)
    assert avatar() == own
    remove_avatar(user)
    come_in(site)
    assert avatar() == ""
    assert github.paths.count("/picture") == 1
