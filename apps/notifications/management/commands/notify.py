from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from apps.notifications.kinds import Announcement
from apps.notifications.services import notify
from apps.users.models import User


class Command(BaseCommand):
    help = "Sends an announcement to some users, or to all."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email", nargs="*", help="to whom")
        parser.add_argument("--everyone", action="store_true", help="to all active users")
        parser.add_argument("--title", required=True)
        parser.add_argument("--body", default="")
        parser.add_argument("--url", default="", help="a path on this site, where a click leads")
        parser.add_argument("--actor", metavar="EMAIL", help="who says it; by default the site itself")
        parser.add_argument("--key", help="any name for this sending: run again with it, it skips who has it already")

    def handle(self, *, email: list[str], everyone: bool, actor: str | None, key: str | None, **options: Any) -> None:
        if everyone == bool(email):
            raise CommandError("Name either some addresses or --everyone.")
        try:
            announcement = Announcement(title=options["title"], body=options["body"], url=options["url"])
        except ValueError as error:
            raise CommandError(str(error)) from error
        sender = self._user(actor) if actor else None
        recipients = User.objects.filter(is_active=True) if everyone else [self._user(address) for address in email]
        count = notify(recipients, announcement, actor=sender, key=key)
        self.stdout.write(f"Notified {count} user{'' if count == 1 else 's'}.")

    def _user(self, email: str) -> User:
        try:
            return User.objects.get_by_natural_key(email)
        except User.DoesNotExist:
            raise CommandError(f"Nobody here has the address {email}.") from None
