"""Publishes: `python -m tests.bench.publisher site '[…users' ids…]'`. It is asked, and answers, by lines of JSON.

What is due by the clock is published, whatever came of it: an open loop. Each event's title says when it began, so for
this site writing the notification is part of how long it took. (The others publish without keeping anything.)
"""

import asyncio
import json
import os
import random
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

type Publish = Callable[[Sequence[int] | None], None]
"""To these users, one event each; None: one event to everybody."""

committed: dict[int, int] = {}
"""For what began at a moment: when (the last of) it was committed."""


def site(users: Sequence[int]) -> Publish:
    """By `notify`: as many at once as are due."""
    import django

    django.setup()
    from apps.notifications import delivery
    from apps.notifications.kinds import Announcement
    from apps.notifications.services import notify
    from apps.users.models import User

    publish = delivery.publish
    actor = User.objects.order_by("pk").last()
    began = 0

    def note(changes: Any) -> None:
        committed[began] = time.monotonic_ns()
        publish(changes)

    def to(audience: Sequence[int] | None) -> None:
        nonlocal began
        began = time.monotonic_ns()
        notify(users if audience is None else audience, Announcement(title=f"n{began}"), actor=actor)

    delivery.publish = note
    return to


def event() -> dict[str, Any]:
    actor = {"displayName": "User 1", "avatarUrl": "/media/avatars/0123456789abcdef0123456789abcdef/128.webp"}
    now = time.monotonic_ns()
    return {"id": "1", "title": f"n{now}", "createdAt": "2026-01-01T00:00:00+00:00", "readAt": None, "actor": actor}


def plain(users: Sequence[int]) -> Publish:
    from channels_redis.pubsub import RedisPubSubChannelLayer

    layer = RedisPubSubChannelLayer(hosts=[os.environ["REDIS_URL"]])
    runner = asyncio.Runner()

    async def send(groups: Sequence[str]) -> None:
        for group in groups:
            await layer.group_send(group, {"type": "notification.added", "event": event()})

    return lambda audience: runner.run(send(["all"] if audience is None else [f"user_{pk}" for pk in audience]))


def limit(users: Sequence[int]) -> Publish:
    import redis

    client = redis.Redis.from_url(os.environ["REDIS_URL"])

    def to(audience: Sequence[int] | None) -> None:
        with client.pipeline(transaction=False) as pipeline:
            for channel in ["all"] if audience is None else [f"user:{pk}" for pk in audience]:
                pipeline.publish(channel, json.dumps(event(), separators=(",", ":")))
            pipeline.execute()

    return to


def at_rate(publish: Publish, users: Sequence[int], rate: float, seconds: float) -> int:
    published, began = 0, time.monotonic()
    while (now := time.monotonic() - began) < seconds:
        due = min(int(now * rate) + 1, int(rate * seconds)) - published
        if due > 0:
            audience = random.sample(users, min(due, len(users)))
            publish(audience)
            published += len(audience)
        else:
            time.sleep(1 / rate)
    return published


def main(publish: Publish, users: Sequence[int]) -> None:
    for line in sys.stdin:
        began = time.monotonic()
        match json.loads(line):
            case {"rate": rate, "seconds": seconds}:
                published = at_rate(publish, users, rate, seconds)
            case "everybody":
                publish(None)
                published = len(users)
            case command:
                raise ValueError(command)
        seconds = time.monotonic() - began
        answer = {"published": published, "seconds": seconds, "committed": list(committed.items())}
        sys.stdout.write(f"{json.dumps(answer)}\n")
        sys.stdout.flush()
        committed.clear()


if __name__ == "__main__":
    random.seed(7)
    name, ids = sys.argv[1], json.loads(sys.argv[2])
    main({"site": site, "plain": plain, "limit": limit}[name](ids), ids)
