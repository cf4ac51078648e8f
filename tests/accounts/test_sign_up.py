import asyncio
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.core import mail

from apps.users.models import User
from tests.accounts.mailbox import VERIFY, mailed_key, subjects
from tests.accounts.operations import LOG_IN, ME, OUT, SIGN_UP, VERIFY_EMAIL, ask, news, refusals
from tests.conftest import PASSWORD, ApiFor

CAROL = {"email": "carol@example.com", "password": PASSWORD, "displayName": "Carol"}
PENDING = {**OUT, "pending": ["VERIFY_EMAIL"]}


async def test_it_works(api: ApiFor, transactional_db: None) -> None:
    client = await api()
    assert await ask(client, SIGN_UP, **CAROL) == PENDING
    assert await ask(client, ME) is None
    answer = await ask(client, VERIFY_EMAIL, key=mailed_key(VERIFY, "carol@example.com"))
    user = {"email": "carol@example.com", "emailVerified": True, "profile": {"displayName": "Carol"}}
    assert answer == {"isAuthenticated": True, "pending": [], "user": user}
    assert await ask(client, ME) == {"email": "carol@example.com", "emailVerified": True}
    assert await news(client, "accounts.welcome") == [{}]


async def test_a_name_is_not_asked_for(api: ApiFor, transactional_db: None) -> None:
    assert await ask(await api(), SIGN_UP, email="carol@example.com", password=PASSWORD) == PENDING


async def test_an_address_is_the_same_in_any_case(api: ApiFor, transactional_db: None) -> None:
    await ask(await api(), SIGN_UP, **{**CAROL, "email": " Carol@EXAMPLE.com "})
    assert await User.objects.filter(email="carol@example.com").aexists()


async def test_a_known_address_is_told_by_mail_only(api: ApiFor, alice: User) -> None:
    known = await ask(await api(), SIGN_UP, email="Alice@example.com", password="another one entirely")
    assert known == PENDING
    assert await User.objects.acount() == 1
    assert len(subjects("alice@example.com")) == 1
    assert VERIFY not in str(mail.outbox[0].body)
    assert (await ask(await api(), LOG_IN, email="alice@example.com", password=PASSWORD))["isAuthenticated"]


@pytest.mark.parametrize(
    ("wrong", "field", "code"),
    [
        ({"email": "carol"}, "email", "invalid"),
        ({"email": ""}, "email", "required"),
        ({"password": "12345678901"}, "password", "password_entirely_numeric"),
        ({"password": "short"}, "password", "password_too_short"),
        ({"password": ""}, "password", "required"),
        ({"displayName": "x" * 81}, "displayName", "max_length"),
        ({"email": "x" * 300 + "@example.com"}, "email", "max_length"),
    ],
)
async def test_what_is_wrong_is_named(
    api: ApiFor, transactional_db: None, wrong: dict[str, Any], field: str, code: str
) -> None:
    assert (field, code) in await refusals(await api(), SIGN_UP, **{**CAROL, **wrong})
    assert not await User.objects.aexists()
    assert not mail.outbox


async def test_who_is_signed_in_signs_out_first(api: ApiFor, alice: User) -> None:
    client = await api(alice)
    assert await refusals(client, SIGN_UP, **CAROL) == [(None, "already_signed_in")]
    assert (await ask(client, ME))["email"] == "alice@example.com"


async def test_two_at_the_same_moment_are_one_account(api: ApiFor, transactional_db: None) -> None:
    one, other = await api(), await api()
    answers = await asyncio.gather(ask(one, SIGN_UP, **CAROL), ask(other, SIGN_UP, **CAROL))
    assert list(answers) == [PENDING, PENDING]
    assert await EmailAddress.objects.filter(email="carol@example.com").acount() == 1


async def test_without_verification_nobody_gets_in(api: ApiFor, transactional_db: None) -> None:
    await ask(await api(), SIGN_UP, **CAROL)
    client = await api()
    assert await ask(client, LOG_IN, email="carol@example.com", password=PASSWORD) == PENDING
    assert await ask(client, ME) is None
