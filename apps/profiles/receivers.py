from typing import Any

from django.db import transaction
from django.db.models.signals import post_delete
from django.dispatch import receiver

from apps.profiles.models import Profile
from apps.profiles.services import delete_avatar_files, ensure_profiles
from apps.users.models import User, users_created


@receiver(users_created)
def create_profiles(users: list[User], **_kwargs: Any) -> None:
    ensure_profiles([user.pk for user in users])


@receiver(post_delete, sender=Profile)
def delete_files(instance: Profile, **_kwargs: Any) -> None:
    if avatar := instance.avatar:
        transaction.on_commit(lambda: delete_avatar_files(avatar))
