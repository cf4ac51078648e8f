from django.core import mail

from apps.users.models import User
from tests.accounts.mailbox import VERIFY, mailed_key
from tests.accounts.operations import REQUEST_EMAIL_VERIFICATION, SIGN_UP, VERIFY_EMAIL, ask, refusals
from tests.conftest import PASSWORD, ApiFor

CAROL = {"email": "carol@example.com", "password": PASSWORD}
ACCEPTED = {"accepted": True}


async def test_it_works(api: ApiFor, transactional_db: None) -> None:
    client = await api()
    await ask(client, SIGN_UP, **CAROL)
    mail.outbox.clear()
    assert await ask(await api(), REQUEST_EMAIL_VERIFICATION, email=" Carol@example.com") == ACCEPTED
    assert len(mail.outbox) == 1
    assert (await ask(client, VERIFY_EMAIL, key=mailed_key(VERIFY)))["isAuthenticated"]


async def test_the_key_from_before_still_holds(api: ApiFor, transactional_db: None) -> None:
    """Whoever has two mails does not know which is the newer one."""
    client = await api()
    await ask(client, SIGN_UP, **CAROL)
    key = mailed_key(VERIFY)
    await ask(client, REQUEST_EMAIL_VERIFICATION, email="carol@example.com")
    assert mailed_key(VERIFY) != key
    assert (await ask(client, VERIFY_EMAIL, key=key))["isAuthenticated"]


async def test_nothing_is_mailed_where_nothing_waits(api: ApiFor, alice: User) -> None:
    for email in ("alice@example.com", "nobody@example.com"):
        assert await ask(await api(), REQUEST_EMAIL_VERIFICATION, email=email) == ACCEPTED
    assert not mail.outbox


async def test_nor_for_an_inactive_account(api: ApiFor, transactional_db: None) -> None:
    await ask(await api(), SIGN_UP, **CAROL)
    await User.objects.aupdate(is_active=False)
    mail.outbox.clear()
    assert await ask(await api(), REQUEST_EMAIL_VERIFICATION, email="carol@example.com") == ACCEPTED
    assert not mail.outbox


async def test_what_is_no_address(api: ApiFor, transactional_db: None) -> None:
    for email in ("", "carol", "carol@", "@example.com", "x" * 400 + "@example.com"):
        assert await refusals(await api(), REQUEST_EMAIL_VERIFICATION, email=email) == [("email", "invalid")]
