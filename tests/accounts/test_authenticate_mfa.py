from allauth.mfa.models import Authenticator
from asgiref.sync import sync_to_async

from apps.users.models import User
from tests.accounts import totp
from tests.accounts.operations import (
    AUTHENTICATE_MFA,
    CONFIRM_TOTP,
    LOG_IN,
    ME,
    MFA,
    OUT,
    START_TOTP,
    ask,
    news,
    refusals,
)
from tests.clients import Api
from tests.conftest import PASSWORD, ApiFor

CREDENTIALS = {"email": "alice@example.com", "password": PASSWORD}


async def set_up(client: Api) -> tuple[str, list[str]]:
    """Switches it on. Returns the secret and the recovery codes."""
    secret = (await ask(client, START_TOTP))["secret"]
    return secret, (await ask(client, CONFIRM_TOTP, code=totp.code(secret)))["codes"]


async def test_it_works(api: ApiFor, alice: User) -> None:
    secret, _codes = await set_up(await api(alice))
    client = await api()
    assert await ask(client, LOG_IN, **CREDENTIALS) == {**OUT, "pending": ["MFA_CODE"]}
    assert await ask(client, ME) is None
    assert (await client.get("/notifications/")).status_code == 302
    answer = await ask(client, AUTHENTICATE_MFA, code=totp.code(secret))
    assert answer["isAuthenticated"]
    assert answer["user"]["email"] == "alice@example.com"
    assert (await ask(client, ME))["email"] == "alice@example.com"


async def test_a_recovery_code_does_it_once(api: ApiFor, alice: User) -> None:
    _secret, [code, *_rest] = await set_up(await api(alice))
    client = await api()
    await ask(client, LOG_IN, **CREDENTIALS)
    assert (await ask(client, AUTHENTICATE_MFA, code=code))["isAuthenticated"]
    assert await ask(client, MFA) == {"totpEnabled": True, "recoveryCodesLeft": 9}
    assert await news(client, "accounts.recovery_code_used") == [{"left": 9}]
    again = await api()
    await ask(again, LOG_IN, **CREDENTIALS)
    assert await refusals(again, AUTHENTICATE_MFA, code=code) == [("code", "incorrect_code")]


async def test_a_wrong_code(api: ApiFor, alice: User) -> None:
    secret, _codes = await set_up(await api(alice))
    client = await api()
    await ask(client, LOG_IN, **CREDENTIALS)
    for wrong in (totp.other_code(secret), "x", "0" * 500):
        assert await refusals(client, AUTHENTICATE_MFA, code=wrong) == [("code", "incorrect_code")]
    assert await refusals(client, AUTHENTICATE_MFA, code="") == [("code", "required")]
    assert await ask(client, ME) is None


async def test_without_a_password_before_it(api: ApiFor, alice: User) -> None:
    secret, _codes = await set_up(await api(alice))
    for client in (await api(), await api(alice)):
        assert await refusals(client, AUTHENTICATE_MFA, code=totp.code(secret)) == [(None, "no_pending_sign_in")]


async def test_somebody_else_s_code(api: ApiFor, alice: User, bob: User) -> None:
    await set_up(await api(alice))
    secret, codes = await set_up(await api(bob))
    client = await api()
    await ask(client, LOG_IN, **CREDENTIALS)
    for code in (totp.code(secret), codes[0]):
        assert await refusals(client, AUTHENTICATE_MFA, code=code) == [("code", "incorrect_code")]


async def test_who_was_signed_in_before_is_no_longer(api: ApiFor, alice: User, bob: User) -> None:
    """Between the two steps nobody is signed in, whoever was."""
    await set_up(await api(alice))
    client = await api(bob)
    assert await ask(client, LOG_IN, **CREDENTIALS) == {**OUT, "pending": ["MFA_CODE"]}
    assert await ask(client, ME) is None


async def test_a_user_deleted_between_the_steps(api: ApiFor, alice: User) -> None:
    secret, _codes = await set_up(await api(alice))
    client = await api()
    await ask(client, LOG_IN, **CREDENTIALS)
    await sync_to_async(alice.delete)()
    assert not await Authenticator.objects.aexists()
    assert await refusals(client, AUTHENTICATE_MFA, code=totp.code(secret)) == [(None, "no_pending_sign_in")]
