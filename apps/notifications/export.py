from typing import Any

from apps.notifications.models import Notification, NotificationPreference
from apps.users.models import User


def export(user: User) -> dict[str, Any]:
    notifications = Notification.objects.filter(recipient=user).order_by("pk")
    preferences = NotificationPreference.objects.filter(user=user).order_by("pk")
    return {
        "notifications": list(
            notifications.values("kind", "data", "actor__display_name", "created_at", "read_at", "archived_at")
        ),
        "preferences": list(preferences.values("kind", "channel", "enabled")),
    }
