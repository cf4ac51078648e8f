"""Sign-in with an account elsewhere."""

from collections.abc import Callable

import httpx
from allauth.account.models import EmailAddress

from apps.profiles.services import profile_of
from apps.users.models import User
from tests.accounts.github import GitHub, press_the_button, sign_in
from tests.processes import Server


def test_it_works(site: Server, github: GitHub) -> None:
    with httpx.Client(base_url=site.url) as client:
        query = press_the_button(client)
        assert query["client_id"] == ["our-id"]
        assert query["redirect_uri"] == [f"{site.url}/accounts/github/login/callback/"]
        assert query["code_challenge_method"] == ["S256"]
        assert sign_in(client).headers["location"] == "/"
        user = User.objects.get()
        assert user.email == "dora@example.com"
        assert profile_of(user).display_name == "Dora Explorer"
        assert EmailAddress.objects.get().verified
        assert not user.has_usable_password()
        assert client.get("/settings/").status_code == 200
    with httpx.Client(base_url=site.url) as another_day:
        assert sign_in(another_day).headers["location"] == "/"
    assert User.objects.count() == 1
    assert "Traceback" not in site.log.read_text()


def test_a_known_address_is_not_enough(site: Server, github: GitHub, alice: User) -> None:
    """Who controls an address at a provider does not get the account that has it here."""
    github.user |= {"email": "alice@example.com"}
    github.emails = [{"email": "alice@example.com", "verified": True, "primary": True}]
    with httpx.Client(base_url=site.url) as client:
        sign_in(client)
        assert client.get("/settings/").status_code == 302
    assert User.objects.count() == 1
    assert "alice@example.com" in next(site.mail_dir.glob("*")).read_text()


def test_an_unverified_address_is_verified_first(site: Server, github: GitHub) -> None:
    github.emails = [{"email": "dora@example.com", "verified": False, "primary": True}]
    with httpx.Client(base_url=site.url) as client:
        assert sign_in(client).headers["location"] == "/accounts/confirm-email/"
        assert client.get("/settings/").status_code == 302


def test_what_goes_wrong_there_is_a_page_here(site: Server) -> None:
    wrong = [{"code": "wrong"}, {"state": "forged"}, {"error": "access_denied"}, {"code": ""}]
    for changes in wrong:
        with httpx.Client(base_url=site.url) as client:
            answer = sign_in(client, **changes)
            page = client.get(answer.headers["location"]) if answer.is_redirect else answer
            assert page.status_code < 500, changes
            assert "<html" in page.text
            assert client.get("/settings/").status_code == 302
    assert not User.objects.exists()


def test_a_provider_without_a_key_has_no_button(server: Server) -> None:
    with httpx.Client(base_url=server.url) as client:
        assert "github" not in client.get("/accounts/login/").text.lower()
        assert client.get("/accounts/github/login/").status_code == 404


def test_each_has_its_button(start_server: Callable[..., Server]) -> None:
    names = ("google", "github", "microsoft", "apple")
    site = start_server(**{f"{name.upper()}_CLIENT_ID": "x" for name in names})
    with httpx.Client(base_url=site.url) as client:
        page = client.get("/accounts/login/")
        for name in names:
            assert f'action="/accounts/{name}/login/' in page.text
        policy = page.headers["content-security-policy"]
        for origin in ("accounts.google.com", "github.com", "login.microsoftonline.com", "appleid.apple.com"):
            assert f"https://{origin}" in policy
