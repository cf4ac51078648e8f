"""A user always has a profile and an inbox, whichever way it was made."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.management import call_command
from django.db import IntegrityError, connection, transaction
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from apps.notifications.kinds import Announcement
from apps.notifications.models import Inbox
from apps.notifications.services import anotify
from apps.profiles.models import Profile
from apps.users.models import User
from tests.conftest import PASSWORD, ApiFor

ADD_USER = f"/{settings.ADMIN_PATH}users/user/add/"
EMAIL = "new@example.com"


def is_complete(email: str) -> bool:
    user = User.objects.get(email=email)
    return Profile.objects.filter(user=user).exists() and Inbox.objects.filter(user=user).exists()


@pytest.mark.django_db
def test_it_works() -> None:
    user = User.objects.create_user(EMAIL, PASSWORD)
    assert user.check_password(PASSWORD)
    assert is_complete(EMAIL)


@pytest.mark.django_db
def test_the_command_createsuperuser(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_SUPERUSER_PASSWORD", PASSWORD)
    call_command("createsuperuser", email=EMAIL, interactive=False, verbosity=0)
    user = User.objects.get(email=EMAIL)
    assert user.is_superuser
    assert user.is_staff
    assert user.check_password(PASSWORD)
    assert is_complete(EMAIL)


async def test_the_admin_s_form(api: ApiFor, alice: User) -> None:
    await User.objects.filter(pk=alice.pk).aupdate(is_staff=True, is_superuser=True)
    admin = await api(alice)
    page = await admin.get(ADD_USER)
    assert page.status_code == 200
    form = {"email": "New@Example.com", "usable_password": "true", "password1": PASSWORD, "password2": PASSWORD}
    answer = await admin.post(ADD_USER, data=form, headers=await admin.csrf_headers())
    assert answer.status_code == 302, answer.text
    assert await sync_to_async(is_complete)(EMAIL)


@pytest.mark.django_db
def test_save() -> None:
    User(email=EMAIL).save()
    assert is_complete(EMAIL)


@pytest.mark.django_db
def test_saving_again_is_no_second_creation() -> None:
    user = User.objects.create_user(EMAIL)
    Profile.objects.filter(user=user).update(display_name="Someone new")
    user.save()
    assert Profile.objects.get(user=user).display_name == "Someone new"


@pytest.mark.django_db
def test_bulk_create() -> None:
    User.objects.bulk_create(User(email=f"{number}@example.com") for number in range(3))
    assert all(is_complete(f"{number}@example.com") for number in range(3))


@pytest.mark.django_db
def test_bulk_create_asks_no_more_for_many_than_for_few(
    django_assert_max_num_queries: DjangoAssertNumQueries,
) -> None:
    with django_assert_max_num_queries(12):
        User.objects.bulk_create(User(email=f"{number}@example.com") for number in range(100))


@pytest.mark.django_db
def test_half_of_a_bulk_is_never_made() -> None:
    with pytest.raises(IntegrityError):
        User.objects.bulk_create([User(email=EMAIL), User(email=EMAIL)])
    assert not User.objects.exists()
    assert not Profile.objects.exists()


async def test_acreate(transactional_db: None) -> None:
    await User.objects.acreate(email=EMAIL)
    assert await sync_to_async(is_complete)(EMAIL)


async def test_abulk_create(transactional_db: None) -> None:
    await User.objects.abulk_create([User(email=EMAIL), User(email="other@example.com")])
    assert await sync_to_async(is_complete)(EMAIL)
    assert await sync_to_async(is_complete)("other@example.com")


def by_sql(_directory: Path) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO users_user (email, password, is_superuser, is_staff, is_active, date_joined)"
            " VALUES (%s, '', %s, %s, %s, %s)",
            [EMAIL, False, False, True, timezone.now()],
        )


def by_ignoring_conflicts(_directory: Path) -> None:
    User.objects.bulk_create([User(email=EMAIL)], ignore_conflicts=True)


def by_fixture(directory: Path) -> None:
    fixture = directory / "users.json"
    fixture.write_text(json.dumps([{"model": "users.user", "fields": {"email": EMAIL, "password": ""}}]))
    call_command("loaddata", fixture, verbosity=0)


unannounced = pytest.mark.parametrize("make", [by_sql, by_ignoring_conflicts, by_fixture])


@unannounced
async def test_one_whom_nobody_announced_is_complete_on_first_use(
    api: ApiFor, transactional_db: None, tmp_path: Path, make: Callable[[Path], None]
) -> None:
    await sync_to_async(make)(tmp_path)
    client = await api(await User.objects.aget(email=EMAIL))
    data = await client.data("{ me { email profile { displayName } } inbox { sequence } unreadCount }")
    assert data["me"]["email"] == EMAIL
    assert data["me"]["profile"]["displayName"]
    assert data["inbox"] == {"sequence": 0}
    assert data["unreadCount"] == 0


@unannounced
async def test_one_whom_nobody_announced_can_be_notified(
    api: ApiFor, transactional_db: None, tmp_path: Path, make: Callable[[Path], None]
) -> None:
    await sync_to_async(make)(tmp_path)
    user = await User.objects.aget(email=EMAIL)
    assert await anotify([user], Announcement("Hello"), actor=user) == 1
    data = await (await api(user)).data("{ unreadCount me { profile { displayName } } }")
    assert data["unreadCount"] == 1
    assert await sync_to_async(is_complete)(EMAIL)


async def test_several_first_uses_at_once(api: ApiFor, transactional_db: None, tmp_path: Path) -> None:
    await sync_to_async(by_sql)(tmp_path)
    user = await User.objects.aget(email=EMAIL)
    client = await api(user)
    await client.csrf_headers()
    await asyncio.gather(
        *(client.data("{ me { profile { displayName } } }") for _ in range(4)),
        *(anotify([user], Announcement("Hello"), actor=user) for _ in range(4)),
    )
    assert (await client.data("{ unreadCount }")) == {"unreadCount": 4}
    assert await sync_to_async(is_complete)(EMAIL)


@unannounced
async def test_one_whom_nobody_announced_sees_the_pages(
    api: ApiFor, transactional_db: None, tmp_path: Path, make: Callable[[Path], None]
) -> None:
    await sync_to_async(make)(tmp_path)
    client = await api(await User.objects.aget(email=EMAIL))
    for path in ("/", "/notifications/", "/settings/"):
        assert (await client.get(path)).status_code == 200, path


@pytest.mark.django_db
def test_two_spellings_of_an_address_are_one_account() -> None:
    user = User.objects.create_user(" A@Example.com ")
    assert user.email == "a@example.com"
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create_user("a@example.com")
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create_user("A@EXAMPLE.COM")


@pytest.mark.django_db
def test_an_account_is_found_however_its_address_is_written() -> None:
    user = User.objects.create_user("a@example.com")
    assert User.objects.get_by_natural_key("A@Example.com") == user


async def test_it_is_found_by_async_code_too(transactional_db: None) -> None:
    user = await User.objects.acreate(email="a@example.com")
    assert await User.objects.aget_by_natural_key("A@Example.com") == user


@pytest.mark.django_db
def test_the_database_refuses_upper_case() -> None:
    user = User.objects.create_user("a@example.com")
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.create(email="B@example.com")
    with pytest.raises(IntegrityError), transaction.atomic():
        User.objects.filter(pk=user.pk).update(email="B@example.com")
