"""`python -m tests.delivery.users 100` makes so many users and signs them in. Prints their ids and cookies, as JSON."""

import json
import sys

import django

django.setup()

from django.core.management import call_command  # noqa: E402

from apps.users.models import User  # noqa: E402
from tests.clients import session_cookies  # noqa: E402

if __name__ == "__main__":
    call_command("migrate", verbosity=0)
    call_command("seed_demo", users=int(sys.argv[1]), notifications=0, force=True, stdout=sys.stderr)
    json.dump({user.pk: session_cookies(user) for user in User.objects.order_by("pk")}, sys.stdout)
