from allauth.account.models import EmailAddress

from apps.users.models import User
from tests.accounts.mailbox import VERIFY, mailed_key
from tests.accounts.operations import (
    ADD_EMAIL_ADDRESS,
    EMAIL_ADDRESSES,
    ME,
    OUT,
    SIGN_UP,
    VERIFY_EMAIL,
    ask,
    news,
    refusals,
)
from tests.conftest import PASSWORD, ApiFor

CAROL = {"email": "carol@example.com", "password": PASSWORD}


async def test_it_works(api: ApiFor, transactional_db: None) -> None:
    client = await api()
    await ask(client, SIGN_UP, **CAROL)
    answer = await ask(client, VERIFY_EMAIL, key=mailed_key(VERIFY))
    assert answer["isAuthenticated"]
    assert answer["user"]["emailVerified"]


async def test_elsewhere_it_verifies_and_signs_nobody_in(api: ApiFor, transactional_db: None) -> None:
    await ask(await api(), SIGN_UP, **CAROL)
    elsewhere = await api()
    assert await ask(elsewhere, VERIFY_EMAIL, key=mailed_key(VERIFY)) == OUT
    assert await ask(elsewhere, ME) is None
    assert await EmailAddress.objects.filter(email="carol@example.com", verified=True).aexists()


async def test_somebody_else_stays_signed_in(api: ApiFor, alice: User) -> None:
    await ask(await api(), SIGN_UP, **CAROL)
    client = await api(alice)
    answer = await ask(client, VERIFY_EMAIL, key=mailed_key(VERIFY))
    assert answer["user"]["email"] == "alice@example.com"


async def test_a_second_address(api: ApiFor, alice: User) -> None:
    client = await api(alice)
    await ask(client, ADD_EMAIL_ADDRESS, email="second@example.com")
    await ask(client, VERIFY_EMAIL, key=mailed_key(VERIFY, "second@example.com"))
    assert await ask(client, EMAIL_ADDRESSES) == [
        {"email": "alice@example.com", "verified": True, "primary": True},
        {"email": "second@example.com", "verified": True, "primary": False},
    ]


async def test_welcome_is_said_once(api: ApiFor, transactional_db: None) -> None:
    client = await api()
    await ask(client, SIGN_UP, **CAROL)
    await ask(client, VERIFY_EMAIL, key=mailed_key(VERIFY))
    await ask(client, ADD_EMAIL_ADDRESS, email="second@example.com")
    await ask(client, VERIFY_EMAIL, key=mailed_key(VERIFY, "second@example.com"))
    assert await news(client, "accounts.welcome") == [{}]


async def test_what_is_no_key(api: ApiFor, transactional_db: None) -> None:
    for key in ("x", "x" * 64, "x" * 10_000, "MQ:1abc:def", "é"):
        assert await refusals(await api(), VERIFY_EMAIL, key=key) == [("key", "invalid_key")]
    assert await refusals(await api(), VERIFY_EMAIL, key="") == [("key", "required")]
