"""Nothing that a stranger can send tells whether an address has an account: no answer, no refusal and no clock."""

import gc
import logging
import random
import re
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from http.cookies import SimpleCookie
from statistics import median
from typing import Any
from uuid import uuid4

import httpx
import pytest
from allauth.account.models import EmailAddress
from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth.hashers import (
    BasePasswordHasher,
    MD5PasswordHasher,
    PBKDF2PasswordHasher,
    make_password,
)
from pytest_django import Settings

from apps import background
from apps.accounts.services import create_verified_addresses
from apps.users.models import User
from tests.accounts.operations import (
    LOG_IN,
    ME,
    REQUEST_EMAIL_VERIFICATION,
    REQUEST_PASSWORD_RESET,
    SIGN_UP,
)
from tests.accounts.pages import TOKEN
from tests.clients import Api
from tests.conftest import PASSWORD, make_user

WRONG = "not the password"

OPERATIONS: dict[str, tuple[str, dict[str, str]]] = {
    "signUp": (SIGN_UP, {"password": PASSWORD, "displayName": "Somebody"}),
    "logIn": (LOG_IN, {"password": WRONG}),
    "requestPasswordReset": (REQUEST_PASSWORD_RESET, {}),
    "requestEmailVerification": (REQUEST_EMAIL_VERIFICATION, {}),
}
PAGES: dict[str, tuple[str, str, dict[str, str]]] = {
    "signup": ("/accounts/signup/", "email", {"password1": PASSWORD, "display_name": "Somebody"}),
    "login": ("/accounts/login/", "login", {"password": WRONG}),
    "password reset": ("/accounts/password/reset/", "email", {}),
    "login code": ("/accounts/login/code/", "email", {}),
}
every_operation = pytest.mark.parametrize("operation", OPERATIONS)
every_page = pytest.mark.parametrize("page", PAGES)


def make_verified() -> str:
    return make_user("Somebody").email


def make_unverified() -> str:
    user = make_user("Unverified")
    EmailAddress.objects.filter(user=user).update(verified=False)
    return user.email


def make_inactive() -> str:
    user = make_user("Inactive")
    User.objects.filter(pk=user.pk).update(is_active=False)
    return user.email


def make_without_password() -> str:
    user = make_user("Passwordless")
    user.set_unusable_password()
    user.save()
    return user.email


def make_by_fixture() -> str:
    """As a row that somebody inserted by hand: with no password at all, and no address of allauth's."""
    return User.objects.create(email="by.fixture@example.com", password="").email


def make_second() -> str:
    return EmailAddress.objects.create(user=make_user("Second"), email="second@example.org", verified=True).email


KINDS = [make_verified, make_unverified, make_inactive, make_without_password, make_by_fixture, make_second]


@dataclass(frozen=True)
class Seen:
    """All that an answer shows, with what is by chance or the address itself taken out."""

    status: int
    headers: tuple[tuple[str, str], ...]
    cookies: tuple[str, ...]
    text: str


def seen(response: httpx.Response, email: str) -> Seen:
    cookies: SimpleCookie = SimpleCookie()
    for header in response.headers.get_list("set-cookie"):
        cookies.load(header)
    shown = []
    for name, morsel in cookies.items():
        attributes = {key: value for key, value in morsel.items() if key != "expires"}
        shown.append(f"{name} {sorted(attributes.items())}")
    text = TOKEN.sub("", response.text).replace(email, "ADDRESS").replace(email.replace("@", "%40"), "ADDRESS")
    text = re.sub(r'(nonce|data-challenge)="[^"]*"', "", text)
    headers = [
        (name, value)
        for name, value in response.headers.items()
        if name not in {"set-cookie", "expires", "date", "content-security-policy"}
    ]
    return Seen(response.status_code, tuple(sorted(headers)), tuple(sorted(shown)), text)


@pytest.fixture
async def client_at(settings: Settings, transactional_db: None) -> AsyncIterator[Callable[[int], Any]]:
    """`await client_at(7)`: a visitor with an address of his own, behind one proxy."""
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    async with AsyncExitStack() as stack:

        async def enter(number: int) -> Api:
            client = await stack.enter_async_context(Api())
            client.headers["X-Forwarded-For"] = f"198.51.100.{number}"
            return client

        yield enter


async def send(client: Api, operation: str, email: str) -> Seen:
    document, more = OPERATIONS[operation]
    return seen((await client.ask(document, email=email, **more)).response, email)


async def submit(client: Api, page: str, email: str) -> list[Seen]:
    """The form's own page, what it answers, and what that leads to."""
    path, field, more = PAGES[page]
    form = await client.get(path, follow_redirects=True)
    token = TOKEN.search(form.text)
    headers = {"X-CSRFToken": token[1]} if token else await client.csrf_headers()
    answer = await client.post(form.url, data={field: email, **more}, headers=headers)
    following = await client.get(answer.headers.get("location", path))
    return [seen(one, email) for one in (form, answer, following)]


def unknown_like(known: str) -> str:
    """An address without an account, as long as the known one."""
    name, host = known.split("@")
    return f"{name[::-1]}@{host}"


async def test_it_works(client_at: Callable[[int], Any]) -> None:
    for number, make in enumerate(KINDS):
        known = await sync_to_async(make)()
        answers = []
        for email, client in ((known, await client_at(number)), (unknown_like(known), await client_at(100 + number))):
            shown = {}
            for operation in OPERATIONS:
                client.cookies.clear()
                shown[operation] = await send(client, operation, email)
                shown[f"{operation}, me"] = seen((await client.ask(ME)).response, email)
                # What the pages show to who has sent it.
                for path in ("/accounts/confirm-email/", "/accounts/signup/", "/accounts/login/"):
                    shown[f"{operation}, {path}"] = seen(await client.get(path), email)
            answers.append(shown)
        assert answers[0] == answers[1], make.__name__
        assert {one.status for one in answers[0].values()} == {200}


async def test_on_the_pages(client_at: Callable[[int], Any]) -> None:
    for number, make in enumerate(KINDS):
        known = await sync_to_async(make)()
        answers = []
        for email, client in ((known, await client_at(number)), (unknown_like(known), await client_at(100 + number))):
            shown = {}
            for page in PAGES:
                client.cookies.clear()
                shown[page] = await submit(client, page, email)
            answers.append(shown)
        assert answers[0] == answers[1], make.__name__
        answered = {page: shown[1].status for page, shown in answers[0].items()}
        assert answered == {"signup": 302, "login": 200, "password reset": 302, "login code": 302}


async def test_with_wrong_codes(client_at: Callable[[int], Any]) -> None:
    """Where no code was mailed, a wrong one is answered as if there had been one."""
    for number, make in enumerate([make_verified, make_unverified, make_inactive]):
        known = await sync_to_async(make)()
        answers = []
        for email, client in ((known, await client_at(number)), (unknown_like(known), await client_at(100 + number))):
            shown = await submit(client, "login code", email)
            for code in ("BBBB-BBBB", "-", "BBBB-BBBB", "BBBB-BBBB"):
                headers = await client.csrf_headers()
                answer = await client.post("/accounts/login/code/confirm/", data={"code": code}, headers=headers)
                following = await client.get("/accounts/login/code/confirm/", follow_redirects=True)
                shown += [seen(answer, email), seen(following, email)]
            answers.append(shown)
        assert answers[0] == answers[1], make.__name__


# ---------------------------------------------------------------------------------------------- again and again


@every_operation
async def test_who_asks_again_learns_nothing_from_the_limits(client_at: Callable[[int], Any], operation: str) -> None:
    known = await sync_to_async(make_unverified)()  # who is mailed the most
    answers = []
    for number, email in enumerate([known, unknown_like(known)]):
        client = await client_at(number)
        shown = [await send(client, operation, email) for _ in range(8)]  # in one session
        for _ in range(14):
            client.cookies.clear()
            shown.append(await send(client, operation, email))
        answers.append(shown)
    assert answers[0] == answers[1]
    assert "RATE_LIMITED" in answers[0][-1].text


@every_page
async def test_nor_on_the_pages(client_at: Callable[[int], Any], page: str) -> None:
    known = await sync_to_async(make_unverified)()
    answers = []
    for number, email in enumerate([known, unknown_like(known)]):
        client = await client_at(number)
        shown = []
        for _ in range(7):
            client.cookies.clear()
            shown += await submit(client, page, email)
        answers.append(shown)
    assert answers[0] == answers[1]


@every_operation
async def test_nor_from_what_one_operation_leaves_to_another(client_at: Callable[[int], Any], operation: str) -> None:
    known = await sync_to_async(make_unverified)()
    answers = []
    for number, email in enumerate([known, unknown_like(known)]):
        client = await client_at(number)
        for _ in range(6):
            await send(client, operation, email)
        client = await client_at(100 + number)
        shown = []
        for other in OPERATIONS:
            client.cookies.clear()
            shown.append(await send(client, other, email))
        for page in PAGES:
            client.cookies.clear()
            shown += await submit(client, page, email)
        answers.append(shown)
    assert answers[0] == answers[1]


# --------------------------------------------------------------------------------------------------- by the clock

TOLERANCE = 0.2


class SomeRounds(PBKDF2PasswordHasher):
    """Django's own, with so many rounds that hashing is most of a sign-in's time, as it is with all of them."""

    iterations = 100_000


class ManyRounds(PBKDF2PasswordHasher):
    """A new account's rows are written in some milliseconds more, of which Django's 1,500,000 rounds leave nothing."""

    iterations = 600_000


@dataclass(frozen=True)
class Timing:
    tries: int
    """At known addresses, and as many at unknown ones."""
    hasher: type[BasePasswordHasher] = MD5PasswordHasher
    verified: bool = True


TIMINGS = {
    "signUp": Timing(18, ManyRounds),
    "logIn": Timing(60, SomeRounds),
    "requestPasswordReset": Timing(80),
    "requestEmailVerification": Timing(80, verified=False),  # only these get a mail
}


@pytest.fixture
def _production_mail(settings: Settings, transactional_db: None) -> Iterator[None]:
    """Mail leaves in the background, as on a real site."""
    settings.BACKGROUND_THREADS = 2
    settings.MAILERS = {
        "default": {"BACKEND": "config.mail.BackgroundBackend"},
        "delivery": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"},
    }
    yield
    background._queue.join()


def make_users(number: int, verified: bool) -> list[str]:
    batch, password = uuid4().hex[:8], make_password(PASSWORD)
    users = User.objects.bulk_create(
        [User(email=f"known.{batch}.{one:03}@example.com", password=password) for one in range(number)]
    )
    create_verified_addresses(users)
    EmailAddress.objects.filter(user__in=users).update(verified=verified)
    return [user.email for user in users]


async def measure(operation: str) -> tuple[float, float]:
    """The medians of the times for known and for unknown addresses, in seconds, asked for in pairs, in any order."""
    timing = TIMINGS[operation]
    known = await sync_to_async(make_users)(timing.tries, timing.verified)
    turns: list[tuple[bool, str]] = []
    for email in known:  # one after the other, so that both have the same of what else the machine does
        turns += random.sample([(True, email), (False, email.replace("known", "other"))], 2)
    times: dict[bool, list[float]] = {True: [], False: []}
    document, more = OPERATIONS[operation]
    csrf = {"X-CSRFToken": "a" * 32, "Cookie": f"{settings.CSRF_COOKIE_NAME}={'a' * 32}"}
    async with Api() as client:
        gc.collect()
        gc.disable()
        try:
            for number, (is_known, email) in enumerate(turns):
                client.cookies.clear()
                headers = csrf | {"X-Forwarded-For": f"198.18.{number // 250}.{number % 250 + 1}"}
                body = {"query": document, "variables": {"email": email, **more}}
                start = time.perf_counter()
                answer = await client.post("/graphql/", json=body, headers=headers)
                times[is_known].append(time.perf_counter() - start)
                assert "errors" not in answer.json(), answer.text
        finally:
            gc.enable()
    return median(times[True]), median(times[False])


@pytest.mark.alone
@pytest.mark.usefixtures("_production_mail")
@every_operation
async def test_the_clock(
    settings: Settings,
    caplog: pytest.LogCaptureFixture,
    record_testsuite_property: Callable[[str, object], None],
    operation: str,
) -> None:
    """Asked twice before it fails: the machine may have had other things to do."""
    hasher = TIMINGS[operation].hasher
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = 1
    settings.PASSWORD_HASHERS = [f"{hasher.__module__}.{hasher.__qualname__}"]
    measured = []
    with caplog.at_level(logging.ERROR):
        for _ in range(2):
            known, unknown = await measure(operation)
            measured.append(f"known {known * 1000:.1f} ms, unknown {unknown * 1000:.1f} ms")
            if abs(known - unknown) <= TOLERANCE * min(known, unknown):
                break
        else:
            pytest.fail(f"{operation}: {measured}")
    record_testsuite_property(operation, measured)
