"""Several addresses, of which one is the primary one: list, add, remove, make primary."""

from allauth.account.models import EmailAddress

from apps.users.models import User
from tests.accounts.mailbox import VERIFY, mailed_key, subjects
from tests.accounts.operations import (
    ADD_EMAIL_ADDRESS,
    EMAIL_ADDRESSES,
    LOG_IN,
    MAKE_EMAIL_ADDRESS_PRIMARY,
    ME,
    REMOVE_EMAIL_ADDRESS,
    VERIFY_EMAIL,
    ask,
    news,
    refusals,
)
from tests.clients import Api
from tests.conftest import PASSWORD, ApiFor

FIRST, SECOND = "alice@example.com", "second@example.com"


async def add_second(client: Api) -> None:
    await ask(client, ADD_EMAIL_ADDRESS, email=SECOND)
    await ask(client, VERIFY_EMAIL, key=mailed_key(VERIFY, SECOND))


async def test_it_works(api: ApiFor, alice: User) -> None:
    client = await api(alice)
    first = {"email": FIRST, "verified": True, "primary": True}
    second = {"email": SECOND, "verified": False, "primary": False}
    assert await ask(client, ADD_EMAIL_ADDRESS, email=" Second@Example.com") == second
    assert await ask(client, EMAIL_ADDRESSES) == [first, second]
    await ask(client, VERIFY_EMAIL, key=mailed_key(VERIFY, SECOND))
    assert await ask(client, MAKE_EMAIL_ADDRESS_PRIMARY, email=SECOND) == second | {"verified": True, "primary": True}
    assert await ask(client, ME) == {"email": SECOND, "emailVerified": True}
    assert await ask(client, REMOVE_EMAIL_ADDRESS, email=FIRST) == {"accepted": True}
    assert await ask(client, EMAIL_ADDRESSES) == [second | {"verified": True, "primary": True}]
    assert (await ask(await api(), LOG_IN, email=SECOND, password=PASSWORD))["isAuthenticated"]
    assert await refusals(await api(), LOG_IN, email=FIRST, password=PASSWORD) == [(None, "invalid_credentials")]


async def test_its_owner_is_told_of_each_change(api: ApiFor, alice: User) -> None:
    client = await api(alice)
    await add_second(client)
    await ask(client, MAKE_EMAIL_ADDRESS_PRIMARY, email=SECOND)
    await ask(client, REMOVE_EMAIL_ADDRESS, email=FIRST)
    assert await news(client, "accounts.email_changed") == [
        {"email": FIRST, "change": "removed"},
        {"email": SECOND, "change": "primary"},
        {"email": SECOND, "change": "added"},
    ]
    assert subjects(FIRST)  # also where the old address is read


async def test_an_unverified_one_is_good_for_nothing(api: ApiFor, alice: User) -> None:
    client = await api(alice)
    await ask(client, ADD_EMAIL_ADDRESS, email=SECOND)
    refused = await refusals(client, MAKE_EMAIL_ADDRESS_PRIMARY, email=SECOND)
    assert refused == [("email", "unverified_primary_email")]
    assert (await ask(await api(), LOG_IN, email=SECOND, password=PASSWORD)).get("isAuthenticated") is not True


async def test_the_primary_one_stays(api: ApiFor, alice: User) -> None:
    client = await api(alice)
    refused = [("email", "cannot_remove_primary_email")]
    assert await refusals(client, REMOVE_EMAIL_ADDRESS, email=FIRST) == refused
    await add_second(client)
    assert await refusals(client, REMOVE_EMAIL_ADDRESS, email=FIRST) == refused


async def test_the_same_twice(api: ApiFor, alice: User) -> None:
    assert await refusals(await api(alice), ADD_EMAIL_ADDRESS, email=FIRST) == [("email", "duplicate_email")]


async def test_somebody_else_s_is_told_when_it_is_verified(api: ApiFor, alice: User, bob: User) -> None:
    """Not before: it would tell a stranger who has an account here."""
    client = await api(alice)
    assert (await ask(client, ADD_EMAIL_ADDRESS, email="bob@example.com"))["verified"] is False
    key = mailed_key(VERIFY, "bob@example.com")
    assert await refusals(client, VERIFY_EMAIL, key=key) == [("key", "email_taken")]
    assert await EmailAddress.objects.filter(email="bob@example.com", verified=True).acount() == 1


async def test_somebody_else_s_is_as_unknown_as_any(api: ApiFor, alice: User, bob: User) -> None:
    client = await api(alice)
    for document in (REMOVE_EMAIL_ADDRESS, MAKE_EMAIL_ADDRESS_PRIMARY):
        for email in ("bob@example.com", "nobody@example.com"):
            assert await refusals(client, document, email=email) == [("email", "unknown_email")]
    assert (await ask(await api(bob), EMAIL_ADDRESSES))[0]["primary"]


async def test_what_is_no_address(api: ApiFor, alice: User) -> None:
    client = await api(alice)
    for document in (ADD_EMAIL_ADDRESS, REMOVE_EMAIL_ADDRESS, MAKE_EMAIL_ADDRESS_PRIMARY):
        assert await refusals(client, document, email="alice") == [("email", "invalid")]
        assert await refusals(client, document, email="") == [("email", "required")]


async def test_a_visitor(api: ApiFor, alice: User) -> None:
    for document in (ADD_EMAIL_ADDRESS, REMOVE_EMAIL_ADDRESS, MAKE_EMAIL_ADDRESS_PRIMARY):
        assert (await (await api()).ask(document, email=FIRST)).codes == ["UNAUTHENTICATED"]
    assert (await (await api()).ask(EMAIL_ADDRESSES)).codes == ["UNAUTHENTICATED"]
