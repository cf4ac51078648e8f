"""The second factor: switch it on, see it, switch it off."""

import asyncio

from allauth.mfa.models import Authenticator

from apps.users.models import User
from tests.accounts import totp
from tests.accounts.mailbox import subjects
from tests.accounts.operations import CONFIRM_TOTP, DISABLE_TOTP, LOG_IN, MFA, START_TOTP, ask, news, refusals
from tests.clients import Api
from tests.conftest import PASSWORD, ApiFor

OFF = {"totpEnabled": False, "recoveryCodesLeft": 0}


async def set_up(client: Api) -> list[str]:
    secret = (await ask(client, START_TOTP))["secret"]
    return (await ask(client, CONFIRM_TOTP, code=totp.code(secret)))["codes"]


async def test_it_works(api: ApiFor, alice: User) -> None:
    client = await api(alice)
    setup = await ask(client, START_TOTP)
    assert setup["uri"] == f"otpauth://totp/alice%40example.com?secret={setup['secret']}&issuer=testserver"
    assert setup["qrCode"].startswith("<?xml")
    assert await ask(client, MFA) == OFF
    codes = (await ask(client, CONFIRM_TOTP, code=totp.code(setup["secret"])))["codes"]
    assert len(set(codes)) == 10
    assert await ask(client, MFA) == {"totpEnabled": True, "recoveryCodesLeft": 10}
    assert (await ask(await api(), LOG_IN, email="alice@example.com", password=PASSWORD))["pending"] == ["MFA_CODE"]
    assert await ask(client, DISABLE_TOTP, password=PASSWORD) == OFF
    assert (await ask(await api(), LOG_IN, email="alice@example.com", password=PASSWORD))["isAuthenticated"]


async def test_its_owner_is_told(api: ApiFor, alice: User) -> None:
    client = await api(alice)
    await set_up(client)
    await ask(client, DISABLE_TOTP, password=PASSWORD)
    assert await news(client, "accounts.mfa_changed") == [
        {"method": "totp", "enabled": False},
        {"method": "totp", "enabled": True},
    ]
    assert len(subjects("alice@example.com")) == 2


async def test_a_wrong_code_leaves_it_off(api: ApiFor, alice: User) -> None:
    client = await api(alice)
    secret = (await ask(client, START_TOTP))["secret"]
    assert await refusals(client, CONFIRM_TOTP, code=totp.other_code(secret)) == [("code", "incorrect_code")]
    assert await ask(client, MFA) == OFF
    assert (await ask(client, CONFIRM_TOTP, code=totp.code(secret)))["codes"]


async def test_a_secret_is_the_session_s_that_asked(api: ApiFor, alice: User) -> None:
    secret = (await ask(await api(alice), START_TOTP))["secret"]
    assert await refusals(await api(alice), CONFIRM_TOTP, code=totp.code(secret)) == [("code", "incorrect_code")]


async def test_only_the_latest_secret_counts(api: ApiFor, alice: User) -> None:
    client = await api(alice)
    first = (await ask(client, START_TOTP))["secret"]
    second = (await ask(client, START_TOTP))["secret"]
    assert first != second
    assert await refusals(client, CONFIRM_TOTP, code=totp.code(first)) == [("code", "incorrect_code")]


async def test_one_at_a_time(api: ApiFor, alice: User) -> None:
    client = await api(alice)
    await set_up(client)
    assert await refusals(client, START_TOTP) == [(None, "totp_enabled")]
    assert await refusals(client, CONFIRM_TOTP, code="000000") == [(None, "totp_enabled")]


async def test_confirmed_twice_at_the_same_moment(api: ApiFor, alice: User) -> None:
    client = await api(alice)
    code = totp.code((await ask(client, START_TOTP))["secret"])
    answers = await asyncio.gather(*[client.ask(CONFIRM_TOTP, code=code) for _ in range(4)])
    assert not [answer.errors for answer in answers if answer.errors]
    assert [answer for answer in answers if "codes" in answer.data["confirmTotp"]]
    assert await Authenticator.objects.filter(type="totp").acount() == 1


async def test_switching_it_off_needs_the_password(api: ApiFor, alice: User) -> None:
    client = await api(alice)
    await set_up(client)
    assert await refusals(client, DISABLE_TOTP, password="not it") == [("password", "invalid_credentials")]
    assert await refusals(client, DISABLE_TOTP, password="") == [("password", "required")]
    assert (await ask(client, MFA))["totpEnabled"]


async def test_switching_off_what_is_off(api: ApiFor, alice: User) -> None:
    assert await ask(await api(alice), DISABLE_TOTP, password=PASSWORD) == OFF


async def test_an_account_without_a_password(api: ApiFor, alice: User) -> None:
    alice.set_unusable_password()
    await alice.asave()
    assert await refusals(await api(alice), DISABLE_TOTP, password=PASSWORD) == [("password", "no_password")]


async def test_somebody_else_s_is_left_alone(api: ApiFor, alice: User, bob: User) -> None:
    await set_up(await api(bob))
    client = await api(alice)
    assert await ask(client, MFA) == OFF
    await ask(client, DISABLE_TOTP, password=PASSWORD)
    assert (await ask(await api(bob), MFA))["totpEnabled"]


async def test_a_visitor(api: ApiFor, transactional_db: None) -> None:
    client = await api()
    for document, variables in (
        (MFA, {}),
        (START_TOTP, {}),
        (CONFIRM_TOTP, {"code": "1"}),
        (DISABLE_TOTP, {"password": "x"}),
    ):
        assert (await client.ask(document, **variables)).codes == ["UNAUTHENTICATED"]
