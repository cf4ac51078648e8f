"""Guessing: passwords, codes and addresses, by every way around the limits that an attacker would try."""

import asyncio
import json
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import httpx
import pytest
from allauth.account.models import EmailAddress
from allauth.core.internal import ratelimit
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth as totp_auth
from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.core import mail
from pytest_django import Settings

from apps.users.models import User
from tests.accounts import totp
from tests.accounts.operations import (
    AUTHENTICATE_MFA,
    CHANGE_PASSWORD,
    DELETE_ACCOUNT,
    DISABLE_TOTP,
    LOG_IN,
    ME,
    REQUEST_EMAIL_VERIFICATION,
    REQUEST_PASSWORD_RESET,
    SIGN_UP,
)
from tests.accounts.pages import TOKEN, submit
from tests.clients import Answer, Api
from tests.conftest import PASSWORD, ApiFor, SocketFor, make_user
from tests.processes import Server

ALICE, BOB = "alice@example.com", "bob@example.com"
WRONG = "not the password"
NEW_PASSWORD = "staple battery horse"
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
LOG_IN_PAGE = "/accounts/login/"
LOG_IN_CODE_PAGE = "/accounts/login/code/"
MFA_PAGE = "/accounts/2fa/authenticate/"

needs_redis = pytest.mark.skipif(not settings.REDIS_URL, reason="REDIS_URL is not set")


def outcome_of(answer: Answer) -> str:
    """The code of the refusal, or `ok`."""
    if answer.errors:
        return str(answer.codes[0])
    [result] = answer.data.values()
    return str(result["messages"][0]["code"]) if "messages" in result else "ok"


async def outcome(client: Api, document: str, **variables: Any) -> str:
    return outcome_of(await client.ask(document, **variables))


async def log_in(client: Api, password: str = WRONG, email: str = ALICE) -> str:
    return await outcome(client, LOG_IN, email=email, password=password)


async def page_lets_in(client: Api, password: str = WRONG, email: str = ALICE) -> bool:
    """Whether the page for signing in leads on."""
    answer = await submit(client, LOG_IN_PAGE, login=email, password=password)
    assert answer.status_code in {200, 302, 429}
    return answer.status_code == 302


async def is_locked(client: Api, email: str = ALICE) -> bool:
    """Whether even the right password is refused, by the API and by the page."""
    refused = await log_in(client, PASSWORD, email) == "RATE_LIMITED"
    return refused and not await page_lets_in(client, PASSWORD, email) and await client.data(ME) == {"me": None}


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every password that was compared with somebody's own."""
    passwords: list[str] = []
    check = User.check_password

    def check_password(user: User, password: str) -> bool:
        passwords.append(password)
        return check(user, password)

    monkeypatch.setattr(User, "check_password", check_password)
    return passwords


@pytest.fixture
def wait(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """`wait(60)`: for the rate limits, a minute goes by."""
    waited = 0.0

    def forward(seconds: float) -> None:
        nonlocal waited
        waited += seconds

    clock = SimpleNamespace(time=lambda: time.time() + waited, monotonic=time.monotonic, sleep=time.sleep)
    monkeypatch.setattr(ratelimit, "time", clock)
    return forward


@pytest.fixture
async def client_at(settings: Settings, transactional_db: None) -> AsyncIterator[Callable[[int], Any]]:
    """`await client_at(7)`: a visitor with an address of his own, behind one proxy."""
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    async with AsyncExitStack() as stack:

        async def enter(number: int) -> Api:
            client = await stack.enter_async_context(Api())
            client.headers["X-Forwarded-For"] = f"198.51.{number // 250}.{number % 250 + 1}"
            await client.csrf_headers()
            return client

        yield enter


# --------------------------------------------------------------------------------------------------- passwords


async def test_it_works(client_at: Callable[[int], Any], alice: User, bob: User, wait: Callable[[float], None]) -> None:
    client, other = await client_at(0), await client_at(1)
    assert [await log_in(client) for _ in range(6)] == ["invalid_credentials"] * 5 + ["RATE_LIMITED"]
    assert await is_locked(client)
    assert await is_locked(other)  # whoever asks
    assert await log_in(await client_at(2), PASSWORD, BOB) == "ok"
    wait(290)
    assert await is_locked(other)
    wait(11)
    assert await log_in(other, PASSWORD) == "ok"


async def test_a_right_password_in_between_gives_no_more_tries(api: ApiFor, alice: User, bob: User) -> None:
    """The attacker's own account, nor its owner's coming and going, open somebody's again."""
    client = await api()
    for _ in range(5):
        assert await log_in(client) == "invalid_credentials"
        assert await log_in(await api(), PASSWORD, BOB) == "ok"
    assert await is_locked(client)


async def test_its_owner_s_sign_in_gives_no_more_tries(api: ApiFor, alice: User) -> None:
    client = await api()
    assert [await log_in(client) for _ in range(4)] == ["invalid_credentials"] * 4
    assert await log_in(await api(), PASSWORD) == "ok"
    assert [await log_in(client) for _ in range(2)] == ["invalid_credentials", "RATE_LIMITED"]


async def ask_server(client: httpx.AsyncClient, url: str, document: str, **variables: str) -> str:
    """Asks with the client's cookies, which know no port: one session for both servers."""
    if "csrftoken" not in client.cookies:
        await client.post(f"{url}/graphql/", json={})
    answer = await client.post(
        f"{url}/graphql/",
        json={"query": document, "variables": variables},
        headers={"X-CSRFToken": client.cookies["csrftoken"]},
        timeout=30,
    )
    return outcome_of(Answer(answer))


def user_of_a_real_server() -> User:
    """With a password that its hashers can read."""
    user = make_user(f"user-{uuid4().hex}")
    user.password = make_password(PASSWORD, hasher="pbkdf2_sha256")
    user.save()
    return user


@needs_redis
async def test_over_two_processes(
    settings: Settings, transactional_db: None, start_server: Callable[..., Server]
) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.PBKDF2PasswordHasher"]
    alice, bob = [await sync_to_async(user_of_a_real_server)() for _ in range(2)]
    await sync_to_async(set_up_mfa)(bob)
    secret = uuid4().hex  # with which goes a part of Redis that is theirs alone
    urls = [start_server(SECRET_KEY=secret, TRUSTED_PROXY_COUNT="1").url for _ in range(2)]
    async with AsyncExitStack() as stack:

        async def new_client(number: int) -> httpx.AsyncClient:
            client = httpx.AsyncClient(headers={"X-Forwarded-For": f"198.51.100.{number}"})
            return await stack.enter_async_context(client)

        async def ask(turn: int, document: str, client: httpx.AsyncClient | None = None, **variables: str) -> str:
            client = client or await new_client(turn)
            return await ask_server(client, urls[turn % 2], document, **variables)

        def wrong(turn: int) -> Any:
            return ask(turn, LOG_IN, email=alice.email, password=WRONG)

        assert [await wrong(turn) for turn in range(6)] == ["invalid_credentials"] * 5 + ["RATE_LIMITED"]
        for turn in range(2):
            assert await ask(turn, LOG_IN, email=alice.email, password=PASSWORD) == "RATE_LIMITED"

        client = await new_client(99)
        assert await ask(0, LOG_IN, client, email=bob.email, password=PASSWORD) == "ok"
        wrong_code = totp.other_code(SECRET)
        outcomes = [await ask(turn, AUTHENTICATE_MFA, client, code=wrong_code) for turn in range(5)]
        assert outcomes == ["incorrect_code"] * 5
        for turn in range(2):
            [recovery_code, *_] = await sync_to_async(recovery_codes)(bob)
            assert await ask(turn, AUTHENTICATE_MFA, client, code=recovery_code) == "RATE_LIMITED"


async def test_aliases_in_one_document(api: ApiFor, alice: User, checked: list[str]) -> None:
    """However many mutations a document may have: those behind the fifth wrong one change nothing."""
    client = await api()
    passwords = [WRONG] * 5 + [PASSWORD]
    fields = " ".join(
        f'a{number}: logIn(input: {{email: "{ALICE}", password: "{password}"}}) {{ __typename }}'
        for number, password in enumerate(passwords)
    )
    for _ in range(2):
        answer = await client.ask(f"mutation {{ {fields} }}")
        assert set(answer.codes) <= {"RATE_LIMITED", "TOO_COMPLEX"}
        assert answer.codes
    assert len(checked) <= 5
    assert PASSWORD not in checked
    assert await client.data(ME) == {"me": None}


async def test_two_aliases_in_each_document(api: ApiFor, alice: User, checked: list[str]) -> None:
    client = await api()
    field = f'logIn(input: {{email: "{ALICE}", password: "{WRONG}"}}) {{ __typename }}'
    for _ in range(4):
        await client.ask(f"mutation {{ a: {field} b: {field} }}")
    assert len(checked) <= 5
    while len(checked) < 5:  # where two in a document are refused as too complex
        assert await log_in(client) == "invalid_credentials"
    assert await is_locked(client)
    assert len(checked) == 5


async def test_in_parallel(client_at: Callable[[int], Any], alice: User, checked: list[str]) -> None:
    clients = [await client_at(number) for number in range(20)]
    outcomes = await asyncio.gather(*(log_in(client) for client in clients))
    assert sorted(outcomes) == ["RATE_LIMITED"] * 15 + ["invalid_credentials"] * 5
    assert len(checked) == 5
    assert await is_locked(clients[0])


async def test_over_many_client_addresses(client_at: Callable[[int], Any], alice: User) -> None:
    for number in range(5):
        assert await log_in(await client_at(number)) == "invalid_credentials"
    assert await is_locked(await client_at(99))


async def test_a_forged_client_address_is_not_believed(api: ApiFor, alice: User, settings: Settings) -> None:
    """One client may fail ten times a minute, at whatever accounts, whatever it says to be."""
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 0
    client = await api()

    async def fail(number: int) -> str:
        for header in ("X-Forwarded-For", "X-Real-IP", "Forwarded", "CF-Connecting-IP", "True-Client-IP"):
            client.headers[header] = f"198.51.100.{number}"
        return await log_in(client, email=f"{number}@example.com")

    assert [await fail(number) for number in range(11)] == ["invalid_credentials"] * 10 + ["RATE_LIMITED"]
    assert await log_in(client, PASSWORD) == "RATE_LIMITED"


async def test_behind_a_proxy_the_last_address_is_the_client_s(api: ApiFor, alice: User, settings: Settings) -> None:
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    client = await api()

    async def fail(number: int, forwarded_for: str) -> str:
        client.headers["X-Forwarded-For"] = forwarded_for
        return await log_in(client, email=f"{number}@example.com")

    outcomes = [await fail(number, f"203.0.113.{number}, 198.51.100.7") for number in range(11)]
    assert outcomes == ["invalid_credentials"] * 10 + ["RATE_LIMITED"]
    assert await fail(11, "198.51.100.7:4711") == "RATE_LIMITED"
    assert await fail(12, "198.51.100.7") == "RATE_LIMITED"
    assert await fail(13, "198.51.100.8") == "invalid_credentials"  # who is somebody else


async def test_the_addresses_of_one_ipv6_network_are_one_client(api: ApiFor, alice: User, settings: Settings) -> None:
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    client = await api()
    for number in range(10):
        client.headers["X-Forwarded-For"] = f"2001:db8:0:1::{number:x}"
        assert await log_in(client, email=f"{number}@example.com") == "invalid_credentials"
    client.headers["X-Forwarded-For"] = "2001:db8:0:1:ffff::1"
    assert await log_in(client, PASSWORD) == "RATE_LIMITED"


async def test_over_the_ports_of_a_host(api: ApiFor, alice: User) -> None:
    client = await api()
    for port in range(5):
        client.headers["Host"] = f"testserver:{8000 + port}"
        assert await log_in(client) == "invalid_credentials"
    client.headers["Host"] = "testserver:9000"
    assert await log_in(client) == "RATE_LIMITED"
    assert await is_locked(client)


async def test_over_hosts(api: ApiFor, alice: User, settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    settings.USE_X_FORWARDED_HOST = True
    client = await api()
    for number in range(5):
        client.headers.update({"Host": f"{number}.example", "X-Forwarded-Host": f"{number}.example.org"})
        assert await log_in(client) == "invalid_credentials"
    client.headers.update({"Host": "5.example", "X-Forwarded-Host": "5.example.org"})
    assert await log_in(client) == "RATE_LIMITED"


async def test_over_spellings_of_an_address(
    client_at: Callable[[int], Any], transactional_db: None, checked: list[str]
) -> None:
    """Of those that mean the same account each is a try at it; the others are tries at nobody."""
    await sync_to_async(make_user)("Kiss")
    spellings = [
        "kiss@example.com",
        "KISS@EXAMPLE.COM",
        " kiss@example.com",
        "kiss@example.com\n",
        "\u00a0kiss@example.com\u2003",
        "\u212aiss@example.com",  # KELVIN SIGN, whose lower case is k
        "kiss@example\uff0ecom",  # FULLWIDTH FULL STOP
        "ki\u017fs@example.com",  # LATIN SMALL LETTER LONG S
        "\uff4b\uff49\uff53\uff53@example.com",  # fullwidth
        "k\u0131ss@example.com",  # LATIN SMALL LETTER DOTLESS I
        "ki\u00df@example.com",  # LATIN SMALL LETTER SHARP S
        "kiss@EXAMPLE.com.",
        '"kiss"@example.com',
        "kiss@example.com\u200b",
        "k\u00adiss@example.com",
    ]
    for number, spelling in enumerate(spellings * 2):
        assert await log_in(await client_at(number), email=spelling) in {"invalid_credentials", "RATE_LIMITED"}
    assert len(checked) == 5
    client = await client_at(99)
    for spelling in spellings:
        assert await log_in(client, PASSWORD, spelling) != "ok", spelling
    assert len(checked) == 5
    assert await is_locked(client, "kiss@example.com")


async def test_the_page_and_the_api(api: ApiFor, alice: User, checked: list[str]) -> None:
    client = await api()
    for _ in range(2):
        assert not await page_lets_in(client)
        assert await log_in(client) == "invalid_credentials"
    assert not await page_lets_in(client)
    assert await log_in(client) == "RATE_LIMITED"
    assert not await page_lets_in(client)
    assert len(checked) == 5
    assert await is_locked(client)


async def test_the_page_alone(api: ApiFor, alice: User, checked: list[str]) -> None:
    client = await api()
    for _ in range(7):
        assert not await page_lets_in(client)
    assert len(checked) == 5
    assert await is_locked(client)


async def test_the_admin_has_no_door_of_its_own(api: ApiFor, alice: User, checked: list[str]) -> None:
    await User.objects.filter(pk=alice.pk).aupdate(is_staff=True, is_superuser=True)
    client = await api()
    form = {"username": ALICE, "password": PASSWORD, "next": "/admin/"}
    answer = await client.post("/admin/login/", data=form, headers=await client.csrf_headers())
    assert answer.status_code == 302
    assert answer.headers["location"].startswith(LOG_IN_PAGE)
    assert checked == []
    assert await client.data(ME) == {"me": None}


async def test_over_a_websocket(api: ApiFor, socket: SocketFor, alice: User, bob: User, checked: list[str]) -> None:
    client = await socket(bob)
    for document, variables in [
        *[(LOG_IN, {"email": ALICE, "password": password}) for password in [WRONG] * 6 + [PASSWORD]],
        (AUTHENTICATE_MFA, {"code": "123456"}),
        (CHANGE_PASSWORD, {"currentPassword": WRONG, "newPassword": NEW_PASSWORD}),
        (DISABLE_TOTP, {"password": WRONG}),
        (DELETE_ACCOUNT, {"password": PASSWORD}),
    ]:
        await client.subscribe(document, **variables)
        [result] = (await client.next()).values()
        assert [message["code"] for message in result["messages"]] == ["http_only"], document
        assert (await client.receive_json_from())["type"] == "complete"
    assert checked == []
    assert await User.objects.filter(pk=bob.pk).aexists()
    assert await log_in(await api(), PASSWORD) == "ok"  # nothing was tried, so nothing was counted


async def test_in_a_batch(api: ApiFor, alice: User, checked: list[str]) -> None:
    """A list of operations is not served, as JSON or as multipart."""
    client = await api()
    one = {"query": LOG_IN, "variables": {"email": ALICE, "password": PASSWORD}}
    headers = await client.csrf_headers()
    for batch in ([one], [one] * 10):
        multipart = {"operations": json.dumps(batch), "map": "{}"}
        for answer in (
            await client.post("/graphql/", json=batch, headers=headers),
            await client.post("/graphql/", data=multipart, files={"0": b""}, headers=headers),
        ):
            assert answer.status_code == 400, answer.text
            assert Answer(answer).codes == ["BAD_USER_INPUT"]
    assert checked == []
    assert await client.data(ME) == {"me": None}


# ------------------------------------------------------------------------------------ passwords, of who is signed in

ASK_FOR_THE_PASSWORD = [
    pytest.param(CHANGE_PASSWORD, "currentPassword", {"newPassword": NEW_PASSWORD}, id="changePassword"),
    pytest.param(DISABLE_TOTP, "password", {}, id="disableTotp"),
    pytest.param(DELETE_ACCOUNT, "password", {}, id="deleteAccount"),
]


@pytest.mark.parametrize(("document", "field", "more"), ASK_FOR_THE_PASSWORD)
async def test_whoever_has_a_session_guesses_no_password(
    api: ApiFor, alice: User, bob: User, checked: list[str], document: str, field: str, more: dict[str, str]
) -> None:
    await sync_to_async(set_up_mfa)(alice)
    client = await api(alice)
    outcomes = [await outcome(client, document, **{field: WRONG}, **more) for _ in range(6)]
    assert outcomes == ["invalid_credentials"] * 5 + ["RATE_LIMITED"]
    for one in (client, await api(alice)):
        assert await outcome(one, document, **{field: PASSWORD}, **more) == "RATE_LIMITED"
    assert checked == [WRONG] * 5
    assert await Authenticator.objects.filter(user=alice, type=Authenticator.Type.TOTP).aexists()
    assert await outcome(await api(bob), document, **{field: PASSWORD}, **more) == "ok"


@pytest.mark.parametrize(("document", "field", "more"), ASK_FOR_THE_PASSWORD)
async def test_nor_one_more_within_five_minutes(
    api: ApiFor,
    alice: User,
    checked: list[str],
    wait: Callable[[float], None],
    document: str,
    field: str,
    more: dict[str, str],
) -> None:
    client = await api(alice)
    for _ in range(5):
        await outcome(client, document, **{field: WRONG}, **more)
    for _ in range(4):
        wait(61)
        assert await outcome(client, document, **{field: WRONG}, **more) == "RATE_LIMITED"
    assert len(checked) == 5


@pytest.mark.parametrize(("document", "field", "more"), ASK_FOR_THE_PASSWORD)
async def test_nor_in_parallel(
    api: ApiFor, alice: User, checked: list[str], document: str, field: str, more: dict[str, str]
) -> None:
    clients = [await api(alice) for _ in range(10)]
    outcomes = await asyncio.gather(*(outcome(client, document, **{field: WRONG}, **more) for client in clients))
    assert sorted(outcomes) == ["RATE_LIMITED"] * 5 + ["invalid_credentials"] * 5
    assert len(checked) == 5


async def test_tries_at_one_account_s_password_are_counted_together(
    api: ApiFor, alice: User, checked: list[str]
) -> None:
    visitor, thief = await api(), await api(alice)
    for _ in range(2):
        assert await log_in(visitor) == "invalid_credentials"
        assert await outcome(thief, DISABLE_TOTP, password=WRONG) == "invalid_credentials"
    await submit(thief, "/settings/delete/", password=WRONG)
    assert len(checked) == 5
    await submit(thief, "/settings/delete/", password=PASSWORD)
    assert await outcome(thief, DELETE_ACCOUNT, password=PASSWORD) == "RATE_LIMITED"
    assert await is_locked(visitor)
    assert len(checked) == 5


# ------------------------------------------------------------------------------------------------- the second factor


def set_up_mfa(user: User) -> None:
    totp_auth.TOTP.activate(user, SECRET)
    RecoveryCodes.activate(user)


def recovery_codes(user: User) -> list[str]:
    return list(Authenticator.objects.get(user=user, type=Authenticator.Type.RECOVERY_CODES).wrap().get_unused_codes())


@pytest.fixture
def _time_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    """At the beginning of a period: else a code that is right now may be wrong when it arrives."""
    now = time.time() // totp.PERIOD * totp.PERIOD
    monkeypatch.setattr(totp_auth, "time", SimpleNamespace(time=lambda: now))
    monkeypatch.setattr(totp, "time", SimpleNamespace(time=lambda: now))


@pytest.fixture
async def with_mfa(alice: User, bob: User, _time_stands_still: None) -> None:
    for user in (alice, bob):
        await sync_to_async(set_up_mfa)(user)


async def send_code(client: Api, code: str | None = None) -> str:
    return await outcome(client, AUTHENTICATE_MFA, code=code or totp.other_code(SECRET))


async def past_the_password(client: Api, email: str = ALICE) -> Api:
    assert await log_in(client, PASSWORD, email) == "ok"
    assert await client.data(ME) == {"me": None}
    return client


@pytest.mark.usefixtures("with_mfa")
async def test_codes(api: ApiFor, alice: User, wait: Callable[[float], None]) -> None:
    client = await past_the_password(await api())
    assert [await send_code(client) for _ in range(6)] == ["incorrect_code"] * 5 + ["RATE_LIMITED"]
    [recovery_code, *_] = await sync_to_async(recovery_codes)(alice)
    for code in (totp.code(SECRET), recovery_code):
        assert await send_code(client, code) == "RATE_LIMITED"
    assert await send_code(await past_the_password(await api(), BOB), totp.code(SECRET)) == "ok"
    wait(301)
    assert await send_code(client, recovery_code) == "ok"
    assert (await client.data(ME))["me"]["email"] == ALICE


@pytest.mark.usefixtures("with_mfa")
async def test_codes_with_a_new_sign_in_for_each(client_at: Callable[[int], Any], alice: User) -> None:
    async def fail(number: int) -> str:
        return await send_code(await past_the_password(await client_at(number)))

    assert [await fail(number) for number in range(6)] == ["incorrect_code"] * 5 + ["RATE_LIMITED"]
    client = await past_the_password(await client_at(99))
    assert await send_code(client, totp.code(SECRET)) == "RATE_LIMITED"
    page = await submit(client, MFA_PAGE, code=(await sync_to_async(recovery_codes)(alice))[0])
    assert page.status_code == 200
    assert await client.data(ME) == {"me": None}


@pytest.mark.usefixtures("with_mfa")
async def test_codes_on_the_page(client_at: Callable[[int], Any], alice: User) -> None:
    client = await past_the_password(await client_at(0))
    for _ in range(4):
        assert (await submit(client, MFA_PAGE, code=totp.other_code(SECRET))).status_code == 200
    assert [await send_code(client) for _ in range(2)] == ["incorrect_code", "RATE_LIMITED"]
    assert (await submit(client, MFA_PAGE, code=totp.code(SECRET))).status_code == 200
    assert await client.data(ME) == {"me": None}


@pytest.mark.usefixtures("with_mfa")
async def test_codes_in_parallel(client_at: Callable[[int], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []
    validate = totp_auth.TOTP.validate_code

    def validate_code(self: Any, code: str) -> bool:
        tried.append(code)
        return bool(validate(self, code))

    clients = [await past_the_password(await client_at(number)) for number in range(12)]
    monkeypatch.setattr(totp_auth.TOTP, "validate_code", validate_code)
    outcomes = await asyncio.gather(*(send_code(client) for client in clients))
    assert sorted(outcomes) == ["RATE_LIMITED"] * 7 + ["incorrect_code"] * 5
    assert len(tried) == 5
    assert await send_code(clients[0], totp.code(SECRET)) == "RATE_LIMITED"


@pytest.mark.usefixtures("with_mfa")
async def test_a_password_again_gives_no_more_codes(api: ApiFor, alice: User) -> None:
    """Nor does signing in with a mailed code, or the password alone being right."""
    client = await api()
    for _ in range(5):
        assert await send_code(await past_the_password(client)) == "incorrect_code"
    assert await send_code(await past_the_password(client), totp.code(SECRET)) == "RATE_LIMITED"


@pytest.mark.usefixtures("with_mfa")
@pytest.mark.parametrize("kind", ["totp", "recovery"])
async def test_a_code_works_once(api: ApiFor, alice: User, kind: str) -> None:
    code = totp.code(SECRET) if kind == "totp" else (await sync_to_async(recovery_codes)(alice))[0]
    assert await send_code(await past_the_password(await api()), code) == "ok"
    client = await past_the_password(await api())
    assert await send_code(client, code) == "incorrect_code"
    assert await send_code(client, f"{code[:3]} {code[3:]}") == "incorrect_code"
    assert await send_code(client, f" {code[:3]}-{code[3:]}. ") == "incorrect_code"
    assert (await submit(client, MFA_PAGE, code=code)).status_code == 200
    assert await client.data(ME) == {"me": None}


@pytest.mark.usefixtures("with_mfa")
@pytest.mark.parametrize("kind", ["totp", "recovery"])
async def test_a_code_works_once_in_parallel_too(client_at: Callable[[int], Any], alice: User, kind: str) -> None:
    code = totp.code(SECRET) if kind == "totp" else (await sync_to_async(recovery_codes)(alice))[0]
    clients = [await past_the_password(await client_at(number)) for number in range(5)]
    outcomes = await asyncio.gather(*(send_code(client, code) for client in clients))
    assert sorted(outcomes) == ["incorrect_code"] * 4 + ["ok"]
    signed_in = [(await client.data(ME))["me"] is not None for client in clients]
    assert signed_in == [one == "ok" for one in outcomes]


# --------------------------------------------------------------------------------------------- what sends mail


async def test_sign_ups_from_one_client(client_at: Callable[[int], Any]) -> None:
    client = await client_at(0)

    async def sign_up(client: Api, number: int) -> str:
        client.headers["Host"] = f"testserver:{8000 + number}"
        return await outcome(client, SIGN_UP, email=f"{number}@example.com", password=PASSWORD)

    assert [await sign_up(client, number) for number in range(22)] == ["ok"] * 20 + ["RATE_LIMITED"] * 2
    assert await User.objects.acount() == 20
    form = {"email": "on-the-page@example.com", "password1": PASSWORD}
    assert (await client.post("/accounts/signup/", data=form, headers=await client.csrf_headers())).status_code == 429
    assert await User.objects.acount() == 20
    assert await sign_up(await client_at(1), 99) == "ok"


async def test_sign_ups_with_one_address_send_few_mails(client_at: Callable[[int], Any], alice: User) -> None:
    for number in range(8):
        client = await client_at(number)
        assert await outcome(client, SIGN_UP, email="Alice@example.com", password=PASSWORD) == "ok"
    assert len(mail.outbox) == 3


RESET = pytest.param(REQUEST_PASSWORD_RESET, 5, "/accounts/password/reset/", id="requestPasswordReset")
VERIFY = pytest.param(REQUEST_EMAIL_VERIFICATION, 3, None, id="requestEmailVerification")


@pytest.mark.parametrize(("document", "limit", "page"), [RESET, VERIFY])
async def test_mails_to_one_address(
    client_at: Callable[[int], Any], alice: User, document: str, limit: int, page: str | None
) -> None:
    await EmailAddress.objects.filter(user=alice).aupdate(verified=False)
    spellings = [ALICE, ALICE.upper(), f" {ALICE}", f"{ALICE}\u2003", "aLICE@example.com", "Alice@Example.Com"]
    outcomes = [await outcome(await client_at(number), document, email=email) for number, email in enumerate(spellings)]
    assert outcomes == ["ok"] * limit + ["RATE_LIMITED"] * (len(spellings) - limit)
    assert len(mail.outbox) == limit
    if page:
        assert (await submit(await client_at(98), page, email=ALICE)).status_code == 429
    assert len(mail.outbox) == limit
    assert await outcome(await client_at(99), document, email=BOB) == "ok"


@pytest.mark.parametrize(("document", "limit", "page"), [RESET, VERIFY])
async def test_mails_to_one_address_in_parallel(
    client_at: Callable[[int], Any], alice: User, document: str, limit: int, page: str | None
) -> None:
    await EmailAddress.objects.filter(user=alice).aupdate(verified=False)
    clients = [await client_at(number) for number in range(10)]
    outcomes = await asyncio.gather(*(outcome(client, document, email=ALICE) for client in clients))
    assert sorted(outcomes) == ["RATE_LIMITED"] * (10 - limit) + ["ok"] * limit
    assert len(mail.outbox) == limit


@pytest.mark.parametrize(("document", "limit", "page"), [RESET, VERIFY])
async def test_mails_for_one_client(client_at: Callable[[int], Any], document: str, limit: int, page: str) -> None:
    client = await client_at(0)
    outcomes = [await outcome(client, document, email=f"{number}@example.com") for number in range(22)]
    assert outcomes == ["ok"] * 20 + ["RATE_LIMITED"] * 2
    assert await outcome(await client_at(1), document, email="other@example.com") == "ok"


# ------------------------------------------------------------------------------------- signing in with a mailed code


async def request_code(client: Api, email: str = ALICE) -> bool:
    answer = await submit(client, LOG_IN_CODE_PAGE, email=email)
    assert answer.status_code in {200, 302}
    return answer.status_code == 302


def mailed_code() -> str:
    [code] = set(re.findall(r"\b[A-Z]{4}-[A-Z]{4}\b", str(mail.outbox[-1].body)))
    return str(code)


async def confirm_code(client: Api, code: str) -> httpx.Response:
    page = await client.get("/accounts/login/code/confirm/")
    token = TOKEN.search(page.text)
    headers = {"X-CSRFToken": token[1]} if token else await client.csrf_headers()
    return await client.post("/accounts/login/code/confirm/", data={"code": code}, headers=headers)


async def test_a_mailed_code(api: ApiFor, alice: User) -> None:
    client = await api()
    assert await request_code(client)
    assert (await confirm_code(client, mailed_code())).status_code == 302
    assert (await client.data(ME))["me"]["email"] == ALICE


async def test_three_tries_at_a_mailed_code(api: ApiFor, alice: User) -> None:
    client = await api()
    assert await request_code(client)
    right = mailed_code()
    for _ in range(3):
        await confirm_code(client, "BBBB-BBBB")
    await confirm_code(client, right)
    assert await client.data(ME) == {"me": None}


async def test_a_mailed_code_is_good_in_the_session_that_asked_for_it(api: ApiFor, alice: User) -> None:
    assert await request_code(await api())
    right = mailed_code()
    thief = await api()
    assert await request_code(thief, "nobody@example.com")
    await confirm_code(thief, right)
    assert await thief.data(ME) == {"me": None}
    thief = await api()
    assert await request_code(thief)
    await confirm_code(thief, right)  # of the mail before
    assert await thief.data(ME) == {"me": None}


async def test_mailed_codes_to_one_address(client_at: Callable[[int], Any], alice: User) -> None:
    spellings = [ALICE, ALICE.upper(), f" {ALICE}", "aLICE@example.com", "Alice@Example.Com"]
    sent = [await request_code(await client_at(number), email) for number, email in enumerate(spellings)]
    assert sent == [True] * 3 + [False] * 2
    assert len(mail.outbox) == 3
    assert await request_code(await client_at(99), BOB)


async def test_mailed_codes_for_one_client(client_at: Callable[[int], Any]) -> None:
    client = await client_at(0)
    sent = []
    for number in range(22):
        client.cookies.clear()
        sent.append(await request_code(client, f"{number}@example.com"))
    assert sent == [True] * 20 + [False] * 2
    assert await request_code(await client_at(1), "other@example.com")


@pytest.mark.usefixtures("with_mfa")
async def test_a_mailed_code_is_no_way_around_the_second_factor(api: ApiFor) -> None:
    client = await api()
    assert await request_code(client)
    await confirm_code(client, mailed_code())
    assert await client.data(ME) == {"me": None}
    assert [await send_code(client) for _ in range(6)] == ["incorrect_code"] * 5 + ["RATE_LIMITED"]
    assert await client.data(ME) == {"me": None}
