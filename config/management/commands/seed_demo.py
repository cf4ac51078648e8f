from argparse import ArgumentParser
from collections.abc import Sequence
from functools import cache
from itertools import batched
from typing import Any

from django.conf import settings
from django.contrib.auth.hashers import make_password
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from apps.accounts.services import create_verified_addresses
from apps.notifications.delivery import silent
from apps.notifications.kinds import Announcement
from apps.notifications.models import Notification
from apps.notifications.services import mark_read, notify
from apps.profiles.images import portrait, squares
from apps.profiles.models import Profile
from apps.profiles.services import store_avatar
from apps.users.models import User

BATCH = 500  # users in one transaction
NEWS = (
    ("Welcome aboard", "Have a look around; everything here is yours to change.", "/"),
    ("A new face in the team", "Say hello when you have a minute.", ""),
    ("The plan for next week is out", "Comments until Friday, please.", ""),
    ("Your picture looks great", "If you think otherwise, there is always another one.", "/settings/"),
    ("The build is green again", "Thanks to everybody who helped.", ""),
)


class Command(BaseCommand):
    help = "Makes demo users, with pictures and notifications from each other. Running it again adds nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--users", type=int, default=3)
        parser.add_argument("--notifications", type=int, default=20, help="for each user")
        parser.add_argument("--password", default="demo-password")
        parser.add_argument("--force", action="store_true", help="also where DEBUG is off")

    def handle(self, *, users: int, notifications: int, password: str, force: bool, **options: Any) -> None:
        if not (settings.DEBUG or force):
            raise CommandError("DEBUG is off, so this may be a real site. To make users with a known password: --force")
        emails = [f"user{number}@example.com" for number in range(1, users + 1)]
        existing = set(User.objects.filter(email__in=emails).values_list("email", flat=True))
        wanted = [email for email in emails if email not in existing]
        hashed = make_password(password) if wanted else ""  # once: it is slow on purpose
        for batch in batched(wanted, BATCH):
            with silent(), transaction.atomic():
                new = User.objects.bulk_create([User(email=email, password=hashed) for email in batch])
                create_verified_addresses(new)
                _give_profiles(new)
                _exchange_news(new, notifications)
        self.stdout.write(f"{len(wanted)} new demo users, {len(existing)} were there. Sign in as user1@example.com.")


def _give_profiles(users: Sequence[User]) -> None:
    profiles = list(Profile.objects.filter(user__in=users).select_related("user"))
    for profile in profiles:
        number = int(profile.user.email.removeprefix("user").split("@")[0])
        profile.display_name = f"User {number}"
        profile.avatar = store_avatar(_picture(number % 12 * 21))
    Profile.objects.bulk_update(profiles, ["display_name", "avatar"])


def _exchange_news(users: Sequence[User], count: int) -> None:
    """Each gets that many from somebody else, and has read every second one."""
    for number in range(count):
        title, body, url = NEWS[number % len(NEWS)]
        news = Announcement(title, body, url)
        actor, other = users[number % len(users)], users[(number + 1) % len(users)]
        notify([user for user in users if user is not actor], news, actor=actor)
        notify([actor], news, actor=None if other is actor else other)
    for user in users:
        ids = Notification.objects.filter(recipient=user).order_by("pk").values_list("pk", flat=True)
        mark_read(user, list(ids)[::2])


@cache
def _picture(hue: int) -> dict[int, bytes]:
    return squares(portrait(hue))
