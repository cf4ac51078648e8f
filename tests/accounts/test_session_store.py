"""A session and whoever is signed in there are read together, and only what the session says is believed."""

from importlib import import_module

import pytest
from channels.db import database_sync_to_async
from django.apps import apps
from django.contrib.auth import SESSION_KEY
from django.contrib.sessions.models import Session as FormerSession

from apps.accounts.backends import SessionStore
from apps.accounts.models import Session
from tests.clients import Api, session_cookies
from tests.conftest import User

ME = "{ me { email emailVerified } }"

migration = import_module("apps.accounts.migrations.0002_session")


@pytest.fixture
def cookies(alice: User) -> dict[str, str]:
    return session_cookies(alice)


async def ask(cookies: dict[str, str]) -> object:
    async with Api(cookies) as client:
        return (await client.data(ME))["me"]


async def test_it_works(cookies: dict[str, str], alice: User) -> None:
    assert await ask(cookies) == {"email": alice.email, "emailVerified": True}
    [session] = [one async for one in Session.objects.all()]
    assert session.user_id == alice.pk
    assert session.pk in cookies.values()
    assert session.pk not in str(session)  # which pages of the admin show


async def test_a_visitor_s(transactional_db: None) -> None:
    session = SessionStore()
    await session.aset("language", "de")
    await session.asave()
    assert (await Session.objects.aget()).user_id is None
    again = SessionStore(session.session_key)
    assert await again.aget("language") == "de"


@pytest.mark.parametrize("column", ["another's", "nobody's", "unknown"])
async def test_another_than_the_column_says(cookies: dict[str, str], alice: User, bob: User, column: str) -> None:
    """It is there to be read along, and nobody is signed in by it."""
    user_id = {"another's": bob.pk, "nobody's": None, "unknown": bob.pk + 1_000}[column]
    await Session.objects.aupdate(user_id=user_id)
    assert await ask(cookies) == {"email": alice.email, "emailVerified": True}


async def test_a_session_without_a_sign_in(cookies: dict[str, str], alice: User) -> None:
    empty = SessionStore().encode({})
    await Session.objects.aupdate(session_data=empty)
    assert (await Session.objects.aget()).user_id == alice.pk
    assert await ask(cookies) is None


async def test_an_account_is_taken_once(cookies: dict[str, str], alice: User, bob: User) -> None:
    """Who asks again wants to know how it is now."""
    session = SessionStore((await Session.objects.aget()).pk)
    assert await session.aget(SESSION_KEY) == str(alice.pk)
    account = session.take_account(alice.pk)
    assert account == alice
    assert session.take_account(alice.pk) is None


def test_its_user_is_deleted_while_it_is_saved(transactional_db: None) -> None:
    """Django takes any breach of integrity for a key that exists, and would try other keys for ever."""
    session = SessionStore()
    session[SESSION_KEY] = "1000"
    session.create()
    assert Session.objects.get().user_id == 1_000
    assert SessionStore(session.session_key).take_account(1_000) is None


def test_they_end_with_their_user(cookies: dict[str, str], alice: User) -> None:
    alice.delete()
    assert not Session.objects.exists()


@database_sync_to_async
def move_from_django_s(cookies: dict[str, str]) -> None:
    session = Session.objects.get()
    Session.objects.all().delete()
    FormerSession(session.pk, session.session_data, session.expire_date).save()
    FormerSession("unreadable", "nonsense", session.expire_date).save()
    migration.move_sessions(apps, None)


async def test_sessions_from_before(cookies: dict[str, str], alice: User) -> None:
    """Who was signed in when there was no such column, still is."""
    await move_from_django_s(cookies)
    assert {one.user_id async for one in Session.objects.all()} == {alice.pk, None}
    assert not await FormerSession.objects.aexists()
    assert await ask(cookies) == {"email": alice.email, "emailVerified": True}
