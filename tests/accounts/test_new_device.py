"""A sign-in from a device that the account does not know is told to its owner."""

from typing import Any

import httpx
import pytest
from allauth.account.models import EmailAddress

from apps.accounts.models import Device
from apps.users.models import User
from tests.accounts.operations import LOG_IN, LOG_OUT, ask, news
from tests.accounts.pages import submit
from tests.clients import Api
from tests.conftest import PASSWORD, ApiFor

CREDENTIALS = {"email": "alice@example.com", "password": PASSWORD}


async def sign_in(client: Api, user_agent: str) -> None:
    client.headers["User-Agent"] = user_agent
    assert (await ask(client, LOG_IN, **CREDENTIALS))["isAuthenticated"]


async def told(client: Api) -> list[Any]:
    return [data["user_agent"] for data in await news(client, "accounts.new_sign_in")]


async def test_it_works(api: ApiFor, alice: User) -> None:
    phone, laptop = await api(), await api()
    await sign_in(phone, "Phone")
    assert await told(phone) == []  # the first one ever
    await sign_in(laptop, "Laptop")
    assert await news(phone, "accounts.new_sign_in") == [{"user_agent": "Laptop", "ip_address": "127.0.0.1"}]


async def test_a_device_is_known_by_its_cookie(api: ApiFor, alice: User) -> None:
    phone, laptop = await api(), await api()
    await sign_in(phone, "Phone")
    await sign_in(laptop, "Laptop")
    await ask(laptop, LOG_OUT)
    await sign_in(laptop, "Laptop, updated")
    assert await told(phone) == ["Laptop"]


async def test_or_by_software_and_address(api: ApiFor, alice: User) -> None:
    """A client that keeps no cookies is not told of each time."""
    await sign_in(await api(), "Script")
    again = await api()
    await sign_in(again, "Script")
    assert await told(again) == []
    assert await Device.objects.acount() == 1


async def test_the_cookie_is_out_of_reach(api: ApiFor, alice: User) -> None:
    client = await api()
    answer = await client.ask(LOG_IN, **CREDENTIALS)
    [cookie] = [one for one in answer.response.headers.get_list("set-cookie") if one.startswith("device=")]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    token = client.cookies["device"]
    assert not await Device.objects.filter(token_hash=token).aexists()  # who reads the table does not have the cookie


async def test_two_accounts_in_one_browser(api: ApiFor, alice: User, bob: User) -> None:
    client, alices = await api(), await api()
    await sign_in(alices, "Alice's")
    await sign_in(client, "Shared")
    await ask(client, LOG_IN, email="bob@example.com", password=PASSWORD)
    assert await told(client) == []  # Bob's first
    assert await told(alices) == ["Shared"]
    await sign_in(client, "Shared, updated")
    assert await told(alices) == ["Shared"]


async def test_the_page_counts_too(api: ApiFor, alice: User) -> None:
    phone, laptop = await api(), await api()
    await sign_in(phone, "Phone")
    laptop.headers["User-Agent"] = "Laptop"
    await submit(laptop, "/accounts/login/", login="alice@example.com", password=PASSWORD)
    assert await told(phone) == ["Laptop"]


async def test_a_refused_sign_in_makes_no_device_known(api: ApiFor, alice: User) -> None:
    client = await api()
    await client.ask(LOG_IN, email="alice@example.com", password="wrong")
    assert "device" not in client.cookies
    assert not await Device.objects.aexists()


async def test_a_pending_one_neither(api: ApiFor, alice: User) -> None:
    await EmailAddress.objects.aupdate(verified=False)
    assert (await ask(await api(), LOG_IN, **CREDENTIALS))["pending"]
    assert not await Device.objects.aexists()


@pytest.mark.parametrize("user_agent", ["", "x" * 5_000, "<script>", "Ünïcode"])
async def test_software_with_any_name(api: ApiFor, alice: User, user_agent: str) -> None:
    await sign_in(await api(), "Phone")
    client = await api()
    client.headers = httpx.Headers([("User-Agent", user_agent)], encoding="latin-1")
    assert (await ask(client, LOG_IN, **CREDENTIALS))["isAuthenticated"]
    assert len(await told(client)) == 1


async def test_it_cannot_be_switched_off(api: ApiFor, alice: User) -> None:
    client = await api(alice)
    preferences = await ask(client, "{ notificationPreferences { kind channel enabled locked } }")
    locked = {one["kind"] for one in preferences if one["channel"] == "IN_APP" and one["locked"]}
    assert {kind for kind in locked if kind.startswith("accounts.")} == {
        "accounts.email_changed",
        "accounts.mfa_changed",
        "accounts.new_sign_in",
        "accounts.password_changed",
        "accounts.recovery_code_used",
    }
