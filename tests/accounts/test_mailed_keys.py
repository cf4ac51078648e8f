"""Keys that were mailed: each opens one thing, once, for a while, and for nobody else."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any
from unittest import mock

import httpx
import pytest
from allauth.account import app_settings
from allauth.account.models import EmailAddress, EmailConfirmation
from django.conf import settings
from django.contrib.auth.tokens import PasswordResetTokenGenerator
from django.core import mail
from django.utils import timezone
from django.utils.http import int_to_base36
from pytest_django import Settings

from apps.users.models import User
from tests.accounts.operations import (
    ADD_EMAIL_ADDRESS,
    CHANGE_PASSWORD,
    DELETE_ACCOUNT,
    LOG_IN,
    MAKE_EMAIL_ADDRESS_PRIMARY,
    ME,
    REMOVE_EMAIL_ADDRESS,
    REQUEST_EMAIL_VERIFICATION,
    REQUEST_PASSWORD_RESET,
    RESET_PASSWORD,
    SIGN_UP,
    VERIFY_EMAIL,
    ask,
    refusals,
)
from tests.accounts.pages import TOKEN, submit
from tests.clients import Answer, Api
from tests.conftest import PASSWORD, ApiFor

ALICE, BOB, CAROL = "alice@example.com", "bob@example.com", "carol@example.com"
SECOND, THIRD = "second@example.com", "third@example.com"
NEW_PASSWORD, OTHER_PASSWORD = "staple battery horse", "horse staple correct"
VERIFY_PAGE = "/accounts/confirm-email/"
RESET_PAGE = "/accounts/password/reset/key/"
INVALID = [("key", "invalid_key")]


def mailed_key(page: str) -> str:
    """The one in the latest mail."""
    [key] = set(re.findall(rf"{re.escape(settings.SITE_URL + page)}([^/\s]+)/", str(mail.outbox[-1].body)))
    return str(key)


async def verification_key(client: Api, email: str = CAROL, password: str = PASSWORD) -> str:
    """Of a sign-up in that client's session."""
    answer = await ask(client, SIGN_UP, email=email, password=password)
    assert answer["pending"] == ["VERIFY_EMAIL"]
    return mailed_key(VERIFY_PAGE)


async def added_key(client: Api, email: str = SECOND) -> str:
    """Of an address that is added to the account of whoever is signed in there."""
    assert await ask(client, ADD_EMAIL_ADDRESS, email=email) == {"email": email, "verified": False, "primary": False}
    return mailed_key(VERIFY_PAGE)


async def reset_key(client: Api, email: str = ALICE) -> str:
    assert await ask(client, REQUEST_PASSWORD_RESET, email=email) == {"accepted": True}
    return mailed_key(RESET_PAGE)


async def is_verified(email: str) -> bool:
    return await EmailAddress.objects.filter(email=email, verified=True).aexists()


async def has_password(user: User, password: str) -> bool:
    return await (await User.objects.aget(pk=user.pk)).acheck_password(password)


async def me(client: Api) -> str | None:
    user = await ask(client, ME)
    return user and str(user["email"])


async def post(client: Api, path: str, **fields: str) -> httpx.Response:
    """Sends the form on that page, or without any what a page that has none would be sent."""
    page = await client.get(path, follow_redirects=True)
    assert page.status_code < 500
    token = TOKEN.search(page.text)
    headers = {"X-CSRFToken": token[1]} if token else await client.csrf_headers()
    answer = await client.post(page.url, data=fields, headers=headers)
    assert answer.status_code < 500, path
    return answer


async def verify_on_page(client: Api, key: str) -> None:
    await post(client, f"{VERIFY_PAGE}{key}/")


async def reset_on_page(client: Api, key: str, password: str = NEW_PASSWORD) -> None:
    await post(client, f"{RESET_PAGE}{key}/", password1=password, password2=password)


async def verify_over_api(client: Api, key: str) -> None:
    await client.data(VERIFY_EMAIL, key=key)


async def reset_over_api(client: Api, key: str, password: str = NEW_PASSWORD) -> None:
    await client.data(RESET_PASSWORD, key=key, password=password)


type Use = Callable[..., Awaitable[None]]
either_way_to_verify = pytest.mark.parametrize("verify", [verify_over_api, verify_on_page], ids=["api", "page"])
either_way_to_reset = pytest.mark.parametrize("reset", [reset_over_api, reset_on_page], ids=["api", "page"])


@either_way_to_verify
@either_way_to_reset
async def test_it_works(api: ApiFor, alice: User, verify: Use, reset: Use) -> None:
    client = await api()
    await verify(client, await verification_key(client))
    assert await is_verified(CAROL)
    assert await me(client) == CAROL

    client = await api()
    await reset(client, await reset_key(client))
    assert await has_password(alice, NEW_PASSWORD)
    assert await me(client) is None
    assert (await ask(client, LOG_IN, email=ALICE, password=NEW_PASSWORD))["isAuthenticated"]


# ------------------------------------------------------------------------------------------------------------- once


@either_way_to_verify
async def test_a_verification_key_works_once(api: ApiFor, transactional_db: None, verify: Use) -> None:
    client = await api()
    key = await verification_key(client)
    await verify(client, key)
    for again in (client, await api()):
        assert await refusals(again, VERIFY_EMAIL, key=key) == INVALID
        await verify_on_page(again, key)
    assert await me(again) is None
    await EmailAddress.objects.filter(email=CAROL).aupdate(verified=False)  # were it asked for again one day
    assert await refusals(client, VERIFY_EMAIL, key=key) == INVALID
    await verify_on_page(client, key)
    assert not await is_verified(CAROL)


@either_way_to_reset
async def test_a_reset_key_works_once(api: ApiFor, alice: User, reset: Use) -> None:
    client = await api()
    key = await reset_key(client)
    await reset(client, key)
    for again in (client, await api()):
        assert await refusals(again, RESET_PASSWORD, key=key, password=OTHER_PASSWORD) == INVALID
        await reset_on_page(again, key, OTHER_PASSWORD)
    assert await has_password(alice, NEW_PASSWORD)


async def test_all_keys_that_were_mailed_for_an_address_are_used_up_together(
    api: ApiFor, transactional_db: None
) -> None:
    client = await api()
    keys = [await verification_key(client)]
    for _ in range(2):
        await ask(client, REQUEST_EMAIL_VERIFICATION, email=CAROL)
        keys.append(mailed_key(VERIFY_PAGE))
    assert len(set(keys)) == 3
    await verify_over_api(client, keys[1])
    await EmailAddress.objects.filter(email=CAROL).aupdate(verified=False)
    for key in keys:
        assert await refusals(client, VERIFY_EMAIL, key=key) == INVALID


async def test_a_verification_key_works_once_in_parallel(api: ApiFor, transactional_db: None) -> None:
    key = await verification_key(await api())
    clients = [await api() for _ in range(6)]
    for client in clients:
        await client.csrf_headers()
    answers = await asyncio.gather(*(client.data(VERIFY_EMAIL, key=key) for client in clients))
    results = [answer["verifyEmail"] for answer in answers]
    assert [one["messages"][0]["code"] for one in results if "messages" in one] == ["invalid_key"] * 5
    assert await is_verified(CAROL)


async def test_a_reset_key_works_once_in_parallel(api: ApiFor, alice: User) -> None:
    key = await reset_key(await api())
    clients = {f"{NEW_PASSWORD} {number}": await api() for number in range(6)}
    for client in clients.values():
        await client.csrf_headers()
    tries = [client.data(RESET_PASSWORD, key=key, password=password) for password, client in clients.items()]
    answers = [answer["resetPassword"] for answer in await asyncio.gather(*tries)]
    assert [answer["messages"][0]["code"] for answer in answers if "messages" in answer] == ["invalid_key"] * 5
    [password] = [one for one, answer in zip(clients, answers, strict=True) if "messages" not in answer]
    assert await has_password(alice, password)


async def test_a_reset_key_works_once_in_parallel_on_the_page(api: ApiFor, alice: User) -> None:
    key = await reset_key(await api())
    forms = []
    for number in range(6):
        client = await api()
        page = await client.get(f"{RESET_PAGE}{key}/", follow_redirects=True)
        token = TOKEN.search(page.text)
        assert token
        password = f"{NEW_PASSWORD} {number}"
        form = {"csrfmiddlewaretoken": token[1], "password1": password, "password2": password}
        forms.append(client.post(page.url, data=form))
    answers = await asyncio.gather(*forms)
    done = [
        number
        for number, answer in enumerate(answers)
        if answer.status_code == 302 and answer.headers["location"] == f"{RESET_PAGE}done/"
    ]
    assert len(done) == 1, [(answer.status_code, answer.headers.get("location")) for answer in answers]
    assert await has_password(alice, f"{NEW_PASSWORD} {done[0]}")


# ---------------------------------------------------------------------------------------------------------- for a while


async def test_a_verification_key_expires(api: ApiFor, transactional_db: None) -> None:
    client = await api()
    key = await verification_key(client)
    lifetime = timedelta(days=app_settings.EMAIL_CONFIRMATION_EXPIRE_DAYS)
    await EmailConfirmation.objects.aupdate(sent=timezone.now() - lifetime)
    assert await refusals(client, VERIFY_EMAIL, key=key) == INVALID
    await verify_on_page(client, key)
    assert not await is_verified(CAROL)
    await EmailConfirmation.objects.aupdate(sent=timezone.now() - lifetime + timedelta(minutes=1))
    await verify_over_api(client, key)
    assert await is_verified(CAROL)


async def test_a_reset_key_expires(api: ApiFor, alice: User) -> None:
    client = await api()
    key = await reset_key(client)

    def after(seconds: float) -> Any:
        later = datetime.now() + timedelta(seconds=settings.PASSWORD_RESET_TIMEOUT + seconds)
        return mock.patch.object(PasswordResetTokenGenerator, "_now", return_value=later)

    with after(2):
        assert await refusals(client, RESET_PASSWORD, key=key, password=NEW_PASSWORD) == INVALID
        await reset_on_page(client, key)
    assert await has_password(alice, PASSWORD)
    with after(-60):
        await reset_over_api(client, key)
    assert await has_password(alice, NEW_PASSWORD)


async def change_password(client: Api) -> None:
    answer = await ask(client, CHANGE_PASSWORD, currentPassword=PASSWORD, newPassword=OTHER_PASSWORD)
    assert answer["isAuthenticated"]


async def change_password_on_page(client: Api) -> None:
    form = {"oldpassword": PASSWORD, "password1": OTHER_PASSWORD, "password2": OTHER_PASSWORD}
    assert (await submit(client, "/accounts/password/change/", **form)).status_code == 302


async def reset_password(client: Api) -> None:
    await reset_over_api(client, await reset_key(client), OTHER_PASSWORD)


async def reset_password_on_page(client: Api) -> None:
    await reset_on_page(client, await reset_key(client), OTHER_PASSWORD)


async def change_primary_address(client: Api) -> None:
    assert (await ask(client, MAKE_EMAIL_ADDRESS_PRIMARY, email=THIRD))["primary"]


async def change_primary_address_on_page(client: Api) -> None:
    await submit(client, "/accounts/email/", email=THIRD, action_primary="")
    assert await EmailAddress.objects.filter(email=THIRD, primary=True).aexists()


CHANGES = [
    change_password,
    change_password_on_page,
    reset_password,
    reset_password_on_page,
    change_primary_address,
    change_primary_address_on_page,
]


@pytest.mark.parametrize("change", CHANGES)
async def test_keys_die_with(api: ApiFor, alice: User, change: Callable[[Api], Awaitable[None]]) -> None:
    await EmailAddress.objects.acreate(user=alice, email=THIRD, verified=True)
    owner, thief = await api(alice), await api()
    verification = await added_key(owner)
    reset = await reset_key(thief)
    await change(owner)
    before = await User.objects.aget(pk=alice.pk)

    assert await refusals(thief, VERIFY_EMAIL, key=verification) == INVALID
    await verify_on_page(thief, verification)
    assert not await is_verified(SECOND)
    assert await refusals(thief, RESET_PASSWORD, key=reset, password=NEW_PASSWORD) == INVALID
    await reset_on_page(thief, reset)
    assert (await User.objects.aget(pk=alice.pk)).password == before.password


async def test_a_key_of_an_address_dies_with_it(api: ApiFor, alice: User) -> None:
    client = await api(alice)
    key = await added_key(client)
    await ask(client, REMOVE_EMAIL_ADDRESS, email=SECOND)
    assert await refusals(client, VERIFY_EMAIL, key=key) == INVALID
    await added_key(client)
    assert await refusals(client, VERIFY_EMAIL, key=key) == INVALID


async def test_keys_die_with_the_account(api: ApiFor, alice: User) -> None:
    client = await api(alice)
    verification = await added_key(client)
    reset = await reset_key(await api())
    await ask(client, DELETE_ACCOUNT, password=PASSWORD)
    assert await refusals(client, VERIFY_EMAIL, key=verification) == INVALID
    assert await refusals(client, RESET_PASSWORD, key=reset, password=NEW_PASSWORD) == INVALID
    await verify_on_page(client, verification)
    await reset_on_page(client, reset)
    await ask(client, SIGN_UP, email=ALICE, password=PASSWORD)
    assert await refusals(client, RESET_PASSWORD, key=reset, password=NEW_PASSWORD) == INVALID


# ------------------------------------------------------------------------------------------------- for nobody else


@either_way_to_verify
async def test_verifying_in_somebody_else_s_session(api: ApiFor, bob: User, verify: Use) -> None:
    key = await verification_key(await api())
    client = await api(bob)
    await verify(client, key)
    assert await is_verified(CAROL)
    assert await me(client) == BOB


@either_way_to_reset
async def test_resetting_in_somebody_else_s_session(api: ApiFor, alice: User, bob: User, reset: Use) -> None:
    key = await reset_key(await api())
    client = await api(bob)
    await reset(client, key)
    assert await has_password(alice, NEW_PASSWORD)
    assert await has_password(bob, PASSWORD)
    assert await me(client) == BOB


@either_way_to_verify
async def test_a_key_of_another_sign_up_signs_nobody_in(api: ApiFor, transactional_db: None, verify: Use) -> None:
    client = await api()
    key = await verification_key(await api())
    await verification_key(client, "dora@example.com")
    await verify(client, key)
    assert await is_verified(CAROL)
    assert await me(client) is None


@either_way_to_verify
async def test_an_added_address_signs_nobody_in(api: ApiFor, alice: User, verify: Use) -> None:
    key = await added_key(await api(alice))
    client = await api()
    await verify(client, key)
    assert await is_verified(SECOND)
    assert await me(client) is None


async def test_a_reset_ends_every_session_of_the_account(api: ApiFor, alice: User) -> None:
    thief, client = await api(alice), await api()
    await reset_over_api(client, await reset_key(client))
    assert await me(thief) is None
    assert await me(client) is None


def spoilt(key: str) -> dict[str, str]:
    """Ways to spoil any key."""
    other = "a" if key[-1] != "a" else "b"
    return {
        "without its end": key[:-1],
        "its first half": key[: len(key) // 2],
        "its first character": key[0],
        "without its beginning": key[1:],
        "another end": key[:-1] + other,
        "more at the end": key + "a",
        "twice": key + key,
        "backwards": key[::-1],
        "nothing like a key": "x",
        "a dash": "-",
        "dashes": "---",
        "a per cent sign": "%s%00",
        "SQL": "' OR 1=1 --",
        "LIKE": "%" * 64,
        "fullwidth": "".join(chr(ord(character) + 0xFEE0) for character in key),
        "very long": key + "a" * 5_000,
        "a number": "1",
    }


SPOILT = list(spoilt("key"))


async def opens_nothing(client: Api, page: str, key: str) -> None:
    """The page of a key that is none: no 5xx, and no form to go on with."""
    path = f"{page}{key.replace('%', '%25')}/"
    for answer in (
        await client.get(path, follow_redirects=True),
        await client.post(path, data={"password1": NEW_PASSWORD, "password2": NEW_PASSWORD}, headers=CSRF),
    ):
        assert answer.status_code < 500, (key, answer.status_code)
        assert 'name="password1"' not in answer.text


CSRF: dict[str, str] = {}


@pytest.fixture
async def visitor(api: ApiFor) -> AsyncIterator[Api]:
    client = await api()
    CSRF.update(await client.csrf_headers())
    yield client
    CSRF.clear()


async def test_a_spoilt_verification_key(visitor: Api, transactional_db: None) -> None:
    key = await verification_key(visitor)
    CSRF.update(await visitor.csrf_headers())
    for how, forged in spoilt(key).items():
        assert await refusals(visitor, VERIFY_EMAIL, key=forged) == INVALID, how
        await opens_nothing(visitor, VERIFY_PAGE, forged)
    assert not await is_verified(CAROL)
    await verify_over_api(visitor, key)
    assert await is_verified(CAROL)


async def test_a_spoilt_reset_key(visitor: Api, alice: User, bob: User, settings: Settings) -> None:
    settings.ACCOUNT_RATE_LIMITS = settings.ACCOUNT_RATE_LIMITS | {"reset_password_from_key": "1000/m/ip"}
    key, of_bob = await reset_key(visitor), await reset_key(visitor, BOB)
    user, token = key.split("-", 1)
    stamp, signature = token.split("-")
    _, bobs_token = of_bob.split("-", 1)
    later = int_to_base36(int(stamp, 36) + 3_600)
    parts = {
        "another user's token": f"{user}-{bobs_token}",
        "for another user": f"{int_to_base36(bob.pk)}-{token}",
        "for a user who is not": f"{int_to_base36(bob.pk + 1_000_000)}-{token}",
        "for a number beyond the database's": f"{int_to_base36(2**63)}-{token}",
        "for the longest number": f"zzzzzzzzzzzzz-{token}",
        "for a number that is too long": f"{'z' * 14}-{token}",
        "for a negative number": f"-1-{token}",
        "for zero": f"0-{token}",
        "for a word": f"set-password-{token}",
        "for nobody": f"-{token}",
        "of another time": f"{user}-{later}-{signature}",
        "of no time": f"{user}--{signature}",
        "without a token": f"{user}-",
        "without a signature": f"{user}-{stamp}-",
        "the page's own name for a key": f"{user}-set-password",
        "dashes elsewhere": key.replace("-", "_"),
    }
    for how, forged in (spoilt(key) | parts).items():
        assert await refusals(visitor, RESET_PASSWORD, key=forged, password=NEW_PASSWORD) == INVALID, how
        await opens_nothing(visitor, RESET_PAGE, forged)
    for user_ in (alice, bob):
        assert await has_password(user_, PASSWORD)
    await reset_over_api(visitor, key)
    assert await has_password(alice, NEW_PASSWORD)
    assert await has_password(bob, PASSWORD)


@pytest.mark.parametrize("key", ["", " ", "\t\n"])
async def test_no_key_at_all(visitor: Api, transactional_db: None, key: str) -> None:
    for document, more in ((VERIFY_EMAIL, {}), (RESET_PASSWORD, {"password": NEW_PASSWORD})):
        [(field, _)] = await refusals(visitor, document, key=key, **more)
        assert field == "key"


@pytest.mark.parametrize("key", ["\x00", "1-\x00", "\ud800"])
async def test_an_unreadable_key(visitor: Api, transactional_db: None, key: str) -> None:
    headers = CSRF | {"Content-Type": "application/json"}
    for document in (VERIFY_EMAIL, RESET_PASSWORD):
        body = json.dumps({"query": document, "variables": {"key": key, "password": NEW_PASSWORD}})  # in ASCII
        answer = Answer(await visitor.post("/graphql/", content=body, headers=headers))
        assert answer.codes == ["BAD_USER_INPUT"]


async def test_a_key_of_the_other_kind(visitor: Api, alice: User) -> None:
    reset = await reset_key(visitor)
    verification = await verification_key(visitor)
    assert await refusals(visitor, VERIFY_EMAIL, key=reset) == INVALID
    assert await refusals(visitor, RESET_PASSWORD, key=verification, password=NEW_PASSWORD) == INVALID


# ------------------------------------------------------------------------------------- two who want one address


async def test_an_address_that_somebody_else_has_verified_meanwhile(api: ApiFor, alice: User, bob: User) -> None:
    alices, bobs = await api(alice), await api(bob)
    first, second = await added_key(alices), await added_key(bobs)
    await verify_over_api(bobs, second)
    assert await refusals(alices, VERIFY_EMAIL, key=first) == [("key", "email_taken")]
    await verify_on_page(alices, first)
    assert await EmailAddress.objects.aget(email=SECOND, verified=True) == await EmailAddress.objects.aget(
        email=SECOND, user=bob
    )
    assert await refusals(alices, MAKE_EMAIL_ADDRESS_PRIMARY, email=SECOND) == [("email", "unverified_primary_email")]


async def test_two_who_verify_one_address_at_once(api: ApiFor, alice: User, bob: User) -> None:
    alices, bobs = await api(alice), await api(bob)
    keys = [await added_key(alices), await added_key(bobs)]
    answers = await asyncio.gather(
        *(client.data(VERIFY_EMAIL, key=key) for client, key in zip((alices, bobs), keys, strict=True))
    )
    results = [answer["verifyEmail"] for answer in answers]
    assert [result["messages"][0]["code"] for result in results if "messages" in result] == ["email_taken"]
    assert await EmailAddress.objects.filter(email=SECOND, verified=True).acount() == 1


async def test_each_key_is_of_its_own_account(api: ApiFor, alice: User, bob: User) -> None:
    alices, bobs = await api(alice), await api(bob)
    await added_key(alices)
    key = await added_key(bobs)
    await verify_over_api(alices, key)
    assert not await EmailAddress.objects.filter(user=alice, email=SECOND, verified=True).aexists()
    assert await EmailAddress.objects.filter(user=bob, email=SECOND, verified=True).aexists()
    assert await me(alices) == ALICE


async def test_a_sign_up_with_an_address_that_somebody_has_added(api: ApiFor, alice: User) -> None:
    """An address that is not verified keeps nobody out: its owner verifies it, and then it is his."""
    await added_key(await api(alice), CAROL)
    client = await api()
    answer = await ask(client, SIGN_UP, email=CAROL, password=NEW_PASSWORD)
    assert answer["pending"] == ["VERIFY_EMAIL"]
    mail.outbox.clear()
    await ask(client, REQUEST_EMAIL_VERIFICATION, email=CAROL)
    assert {address for message in mail.outbox for address in message.to} == {CAROL}
    assert await me(client) is None
    assert not await is_verified(CAROL)


async def test_an_address_that_is_not_verified_resets_no_password(api: ApiFor, alice: User, bob: User) -> None:
    """Else a slip of the pen in an added address gives the account to whoever has that mailbox."""
    await added_key(await api(alice), CAROL)
    mail.outbox.clear()
    assert await ask(await api(), REQUEST_PASSWORD_RESET, email=CAROL) == {"accepted": True}
    await submit(await api(), "/accounts/password/reset/", email=CAROL)
    assert len(mail.outbox) == 2
    assert not any(RESET_PAGE in str(message.body) for message in mail.outbox)
