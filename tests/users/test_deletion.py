from pathlib import Path

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import transaction

from apps.notifications.kinds import Announcement
from apps.notifications.models import Inbox, Notification, NotificationPreference
from apps.notifications.services import notify
from apps.profiles.models import Profile
from apps.profiles.services import profile_of, store_avatar
from apps.users.models import User
from tests.conftest import ApiFor

NOTIFICATIONS = "{ notifications { edges { node { title actor { displayName } } } } }"


def give_avatar(user: User) -> None:
    profile = profile_of(user)
    profile.avatar = store_avatar({64: b"small", 512: b"large"})
    profile.save()


def avatar_files() -> list[Path]:
    return [path for path in Path(settings.MEDIA_ROOT).rglob("*") if path.is_file()]


def test_it_works(alice: User, bob: User) -> None:
    NotificationPreference.objects.create(user=alice, kind=Announcement.code, channel="email", enabled=False)
    notify([alice, bob], Announcement("Hello"))

    pk = alice.pk
    alice.delete()

    assert list(User.objects.all()) == [bob]
    assert list(Profile.objects.all()) == [profile_of(bob)]
    assert [inbox.pk for inbox in Inbox.objects.all()] == [bob.pk]
    assert [one.recipient_id for one in Notification.objects.all()] == [bob.pk]
    assert not NotificationPreference.objects.filter(user_id=pk).exists()


def test_the_picture_s_files_go_too_and_nobody_else_s(alice: User, bob: User) -> None:
    give_avatar(alice)
    give_avatar(bob)
    assert len(avatar_files()) == 4
    alice.delete()
    assert {path.parent.name for path in avatar_files()} == {profile_of(bob).avatar}
    assert len(avatar_files()) == 2


def test_many_at_once(alice: User, bob: User) -> None:
    give_avatar(alice)
    give_avatar(bob)
    User.objects.all().delete()
    assert not Profile.objects.exists()
    assert avatar_files() == []


def test_a_deletion_that_is_rolled_back_leaves_everything(alice: User) -> None:
    give_avatar(alice)
    with transaction.atomic():
        User.objects.get(pk=alice.pk).delete()
        transaction.set_rollback(True)
    assert profile_of(alice).avatar
    assert len(avatar_files()) == 2


async def test_what_they_caused_stays_without_them(api: ApiFor, alice: User, bob: User) -> None:
    await sync_to_async(notify)([alice], Announcement("Hello"), actor=bob)
    client = await api(alice)
    [edge] = (await client.data(NOTIFICATIONS))["notifications"]["edges"]
    assert edge["node"] == {"title": "Hello", "actor": {"displayName": "Bob"}}

    await bob.adelete()

    [edge] = (await client.data(NOTIFICATIONS))["notifications"]["edges"]
    assert edge["node"] == {"title": "Hello", "actor": None}


async def test_their_session_is_nobody_s(api: ApiFor, alice: User) -> None:
    client = await api(alice)
    await alice.adelete()
    assert await client.data("{ me { id } }") == {"me": None}
