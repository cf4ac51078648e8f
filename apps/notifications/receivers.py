from typing import Any

from django.dispatch import receiver

from apps.notifications.writing import ensure_inboxes
from apps.users.models import User, users_created


@receiver(users_created)
def create_inboxes(users: list[User], **_kwargs: Any) -> None:
    ensure_inboxes([user.pk for user in users])
