"""Every page under `/accounts/` answers, whoever asks: allauth is sync code behind an async server."""

from collections.abc import Iterator

import pytest
from django.urls import URLPattern, URLResolver, get_resolver, reverse

from apps.users.models import User
from tests.conftest import ApiFor


def names(resolver: URLResolver) -> Iterator[str]:
    for pattern in resolver.url_patterns:
        if isinstance(pattern, URLResolver):
            yield from names(pattern)
        elif isinstance(pattern, URLPattern) and pattern.name:
            yield pattern.name


def paths() -> list[str]:
    """Each page's, with something for its arguments."""
    resolver = get_resolver()
    [accounts] = [one for one in resolver.url_patterns if str(one.pattern) == "accounts/"]
    assert isinstance(accounts, URLResolver)
    found = []
    for name in sorted(set(names(accounts))):
        # The ways in which this name's address can be written, each with the names of its arguments.
        ways: list[tuple[str, list[str]]] = resolver.reverse_dict.getlist(name)[0][0]
        arguments = ways[0][1]
        found.append(reverse(name, kwargs=dict.fromkeys(arguments, "1")))
    assert {"/accounts/login/", "/accounts/signup/", "/accounts/email/", "/accounts/confirm-email/1/"} <= set(found)
    return found


whoever_asks = pytest.mark.parametrize("signed_in", [False, True], ids=["visitor", "signed in"])


@whoever_asks
async def test_a_page_opens(api: ApiFor, alice: User, signed_in: bool) -> None:
    broken = {}
    for path in paths():
        client = await api(alice if signed_in else None)
        for answer in (await client.get(path), await client.get(path, follow_redirects=True)):
            if answer.status_code >= 500:
                broken[path] = answer.status_code
    assert broken == {}


@whoever_asks
async def test_an_empty_form_is_answered(api: ApiFor, alice: User, signed_in: bool) -> None:
    broken = {}
    for path in paths():
        client = await api(alice if signed_in else None)
        answer = await client.post(path, data={}, headers=await client.csrf_headers())
        if answer.status_code >= 500 or answer.status_code == 403:
            broken[path] = answer.status_code
    assert broken == {}


async def test_what_is_the_visitor_s_and_what_is_the_user_s(api: ApiFor, alice: User) -> None:
    visitor, user = await api(), await api(alice)
    for path in ("/accounts/login/", "/accounts/signup/", "/accounts/password/reset/"):
        assert (await visitor.get(path)).status_code == 200, path
    for path in ("/accounts/email/", "/accounts/password/change/", "/notifications/", "/settings/"):
        answer = await visitor.get(path)
        assert (answer.status_code, answer.headers["location"]) == (302, f"/accounts/login/?next={path}")
        assert (await user.get(path)).status_code == 200, path


async def test_after_logging_in_nobody_is_sent_to_another_site(api: ApiFor, alice: User) -> None:
    client = await api(alice)
    for elsewhere in ("https://evil.example/", "//evil.example/", "/\\evil.example/", "javascript:alert(1)"):
        answer = await client.get("/accounts/login/", params={"next": elsewhere})
        assert answer.status_code == 302
        assert answer.headers["location"] == "/"
    answer = await client.get("/accounts/login/", params={"next": "/settings/"})
    assert answer.headers["location"] == "/settings/"
