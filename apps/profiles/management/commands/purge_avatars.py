from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from apps.profiles.services import delete_avatar_files, orphaned_avatars


class Command(BaseCommand):
    help = "Deletes the files of pictures that nobody has, as uploads leave that were broken off. Run it daily."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="only names them")

    def handle(self, *, dry_run: bool, **options: Any) -> None:
        count = 0
        for avatar in orphaned_avatars():
            count += 1
            if dry_run:
                self.stdout.write(avatar)
            else:
                delete_avatar_files(avatar)
        self.stdout.write(f"{count} {'would be' if dry_run else 'were'} deleted.")
