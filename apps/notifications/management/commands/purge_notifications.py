from typing import Any

from django.core.management.base import BaseCommand

from apps.notifications.retention import purge


class Command(BaseCommand):
    help = (
        "Deletes old notifications: archived ones after NOTIFICATIONS_RETENTION_DAYS, any after a year. Run it daily."
    )

    def handle(self, **options: Any) -> None:
        count = purge()
        self.stdout.write(f"Purged {count} notification{'' if count == 1 else 's'}.")
