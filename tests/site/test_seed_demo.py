import pytest
from django.core.files.storage import default_storage
from django.core.management import CommandError, call_command
from pytest_django import Settings

from apps.notifications.models import Inbox, Notification
from apps.profiles.models import Profile, avatar_files
from tests.conftest import ApiFor, User

LOG_IN = """mutation { logIn(input: { email: "user2@example.com", password: "demo-password" }) {
    ... on Authentication { user { email emailVerified profile { displayName } } }
} }"""


@pytest.fixture
def demo(transactional_db: None) -> None:
    call_command("seed_demo", "--force", "--notifications", "6")


async def test_it_works(demo: None, api: ApiFor) -> None:
    answer = await (await api()).data(LOG_IN)
    user = {"email": "user2@example.com", "emailVerified": True, "profile": {"displayName": "User 2"}}
    assert answer == {"logIn": {"user": user}}


def test_everybody_has_a_picture_and_news_from_others(demo: None) -> None:
    assert User.objects.count() == 3
    for profile in Profile.objects.all():
        assert all(default_storage.exists(name) for name in avatar_files(profile.avatar))
    for user in User.objects.all():
        news = Notification.objects.filter(recipient=user)
        assert (news.count(), news.unread().count(), Inbox.objects.get(user=user).unread) == (6, 3, 3)
        assert not news.filter(actor=user.pk).exists()
        assert not news.filter(actor=None).exists()


def test_again_it_adds_nothing(demo: None) -> None:
    before = list(Notification.objects.values())
    call_command("seed_demo", "--force", "--notifications", "6")
    assert list(Notification.objects.values()) == before
    assert User.objects.count() == 3


def test_more_users_later(demo: None) -> None:
    call_command("seed_demo", "--force", "--notifications", "6", "--users", "5")
    assert User.objects.count() == 5


def test_one_user_alone(transactional_db: None) -> None:
    call_command("seed_demo", "--force", "--users", "1", "--notifications", "2")
    assert Notification.objects.filter(actor=None).count() == 2


def test_on_a_real_site_it_refuses(transactional_db: None, settings: Settings) -> None:
    settings.DEBUG = False
    with pytest.raises(CommandError, match="--force"):
        call_command("seed_demo")
    assert not User.objects.exists()
