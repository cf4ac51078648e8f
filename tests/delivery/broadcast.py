"""A process that notifies everybody: `python -m tests.delivery.broadcast KEY`. Prints what it took, as JSON."""

import json
import resource
import sys
import time
from typing import Any

import django

if __name__ == "__main__":
    django.setup()

from django.db import connection

from apps.notifications.kinds import Announcement
from apps.notifications.services import notify
from apps.users.models import User


def main(key: str) -> None:
    statements = 0

    def count(execute: Any, *arguments: Any) -> Any:
        nonlocal statements
        statements += 1
        return execute(*arguments)

    began = time.monotonic()
    with connection.execute_wrapper(count):
        notified = notify(User.objects.all(), Announcement(key, "." * 200), key=key)
    seconds = time.monotonic() - began
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"notified": notified, "seconds": seconds, "statements": statements, "memory": memory}))  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
