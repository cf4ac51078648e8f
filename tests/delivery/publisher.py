"""A process that notifies: `python -m tests.delivery.publisher '{…a Plan, as JSON…}'`. Its log goes to stdout.

It goes on whatever happens to the database and the channel layer, and ends when its stdin is closed.
"""

import json
import random
import select
import sys
import time
from dataclasses import dataclass, field
from itertools import count

import django

if __name__ == "__main__":
    django.setup()

from django.db import InterfaceError, OperationalError, close_old_connections, connection, transaction

from apps.notifications.kinds import Announcement
from apps.notifications.services import notify


@dataclass(frozen=True)
class Plan:
    name: str
    users: list[int]
    audience: int = 5
    """Recipients of one batch, at the most."""
    rate: float = 20
    """Writes a second, at the most."""
    writes: int | None = None
    """After so many it only waits for its end."""
    together: int = 1
    """Batches in one write, which is then one transaction."""
    body: int = 0
    """Characters."""
    ways: dict[str, int] = field(default_factory=lambda: {"plain": 6, "atomic": 2, "sleeping": 1, "rolled back": 1})
    """How to write, each with its weight."""


class RolledBack(Exception):
    pass


def write(way: str, recipients: list[int], news: list[Announcement]) -> None:
    """Returns when it is committed. Raises `RolledBack` when it certainly is not."""
    if way == "plain":
        for each in news:
            notify(recipients, each)
        return
    with transaction.atomic():
        if way == "late":  # begins before others, takes its numbers after them
            with connection.cursor() as cursor:
                cursor.execute("SELECT 1")
            time.sleep(random.uniform(0.05, 0.2))
        for each in news:
            notify(recipients, each)
        if way in ("sleeping", "rolled back"):  # others begin meanwhile, and wait where they share a recipient
            time.sleep(random.uniform(0.05, 0.2))
        if way == "rolled back":
            raise RolledBack


def log(event: str, batches: list[str], **details: object) -> None:
    lines = ({"event": event, "batch": batch, **details, "at": time.monotonic()} for batch in batches)
    sys.stdout.writelines(f"{json.dumps(line)}\n" for line in lines)
    sys.stdout.flush()


def publish(plan: Plan, batches: list[str]) -> None:
    recipients = random.sample(plan.users, random.randint(1, min(plan.audience, len(plan.users))))
    [way] = random.choices(list(plan.ways), list(plan.ways.values()))
    log("begin", batches, recipients=recipients)
    try:
        write(way, recipients, [Announcement(batch, "." * plan.body) for batch in batches])
    except RolledBack:
        log("rolled back", batches)
    except (OperationalError, InterfaceError):
        log("unknown", batches)
    else:
        log("committed", batches)
    close_old_connections()  # as after a request: one that broke is not used again


def main(plan: Plan) -> None:
    due = time.monotonic()
    for number in count():
        idle = number == plan.writes
        if stdin_closed(None if idle else max(0, due - time.monotonic())):
            return
        publish(plan, [f"{plan.name}-{number * plan.together + each}" for each in range(plan.together)])
        due = max(due + 1 / plan.rate, time.monotonic())  # what it could not do in time it does not make up for


def stdin_closed(seconds: float | None) -> bool:
    """Waits so long for it; None: until it is."""
    readable, _, _ = select.select([sys.stdin], [], [], seconds)
    return bool(readable)


if __name__ == "__main__":
    main(Plan(**json.loads(sys.argv[1])))
