from django.core import mail

from apps.users.models import User
from tests.accounts.mailbox import RESET, mailed_key, subjects
from tests.accounts.operations import LOG_IN, ME, OUT, REQUEST_PASSWORD_RESET, RESET_PASSWORD, ask, news, refusals
from tests.conftest import PASSWORD, ApiFor

NEW = "staple correct horse"


async def test_it_works(api: ApiFor, alice: User) -> None:
    client = await api()
    assert await ask(client, REQUEST_PASSWORD_RESET, email="alice@example.com") == {"accepted": True}
    assert await ask(client, RESET_PASSWORD, key=mailed_key(RESET), password=NEW) == OUT
    assert await refusals(client, LOG_IN, email="alice@example.com", password=PASSWORD) == [
        (None, "invalid_credentials")
    ]
    assert (await ask(client, LOG_IN, email="alice@example.com", password=NEW))["isAuthenticated"]
    assert await news(client, "accounts.password_changed") == [{}]
    assert len(subjects("alice@example.com")) == 2  # the key, and that it was used


async def test_it_signs_out_everywhere(api: ApiFor, alice: User, bob: User) -> None:
    client, bobs = await api(alice), await api(bob)
    await ask(client, REQUEST_PASSWORD_RESET, email="alice@example.com")
    assert await ask(client, RESET_PASSWORD, key=mailed_key(RESET), password=NEW) == OUT
    assert await ask(client, ME) is None
    assert await ask(bobs, ME)


async def test_somebody_else_stays_signed_in(api: ApiFor, alice: User, bob: User) -> None:
    client = await api(bob)
    await ask(client, REQUEST_PASSWORD_RESET, email="alice@example.com")
    answer = await ask(client, RESET_PASSWORD, key=mailed_key(RESET), password=NEW)
    assert answer["user"]["email"] == "bob@example.com"


async def test_a_weak_password_leaves_the_key(api: ApiFor, alice: User) -> None:
    client = await api()
    await ask(client, REQUEST_PASSWORD_RESET, email="alice@example.com")
    key = mailed_key(RESET)
    assert ("password", "password_too_short") in await refusals(client, RESET_PASSWORD, key=key, password="x")
    assert ("password", "password_too_similar") in await refusals(
        client, RESET_PASSWORD, key=key, password="alice@example"
    )
    assert await ask(client, RESET_PASSWORD, key=key, password=NEW) == OUT


async def test_a_lock_of_failed_sign_ins_ends_with_it(api: ApiFor, alice: User) -> None:
    client = await api()
    for _ in range(6):
        answer = await client.ask(LOG_IN, email="alice@example.com", password="wrong")
    assert answer.codes == ["RATE_LIMITED"]
    await ask(client, REQUEST_PASSWORD_RESET, email="alice@example.com")
    await ask(client, RESET_PASSWORD, key=mailed_key(RESET), password=NEW)
    assert (await ask(client, LOG_IN, email="alice@example.com", password=NEW))["isAuthenticated"]


async def test_what_is_no_key(api: ApiFor, alice: User) -> None:
    for key in ("x", "1-x", "-", "zzzzzzzzzzzzzzzzz-abc-def", "1-abc-" + "0" * 1_000, "é-é"):
        assert await refusals(await api(), RESET_PASSWORD, key=key, password=NEW) == [("key", "invalid_key")]


async def test_an_unknown_address_is_told_by_mail_only(api: ApiFor, alice: User) -> None:
    assert await ask(await api(), REQUEST_PASSWORD_RESET, email="nobody@example.com") == {"accepted": True}
    [message] = mail.outbox
    assert message.to == ["nobody@example.com"]
    assert RESET not in str(message.body)


async def test_what_is_no_address(api: ApiFor, transactional_db: None) -> None:
    assert await refusals(await api(), REQUEST_PASSWORD_RESET, email="nobody") == [("email", "invalid")]
    assert await refusals(await api(), REQUEST_PASSWORD_RESET, email="") == [("email", "required")]
