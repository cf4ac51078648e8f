"""What a server holds, counted at both ends of each wire: by itself and the kernel, and by PostgreSQL and Redis."""

import os
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import httpx
from django.conf import settings
from django.db import connection
from redis import Redis

from tests.servers.counting import PATH

if TYPE_CHECKING:
    from tests.servers.conftest import Served

LISTENING = "0A"
KEPT = Counter({"_Connection._do_receiving": 1})
"""Tasks that a process keeps once it has had them. This one listens to Redis."""
IN_POOLS = re.compile(r"(asyncio|uvloop|ThreadPoolExecutor|pool|request)[-_]|background$")
"""Names of threads whose number has a bound, and may grow to that."""
POOL = 2 * 10
"""Connections that a process may keep to PostgreSQL: for threads, and for its event loop."""


@dataclass
class Holdings:
    tasks: Counter[str]
    threads: Counter[str]
    native_threads: int
    files: Counter[str]
    lent: int
    """Connections of the pool that somebody has."""
    database: tuple[int, int, list[str | None]]
    """Connections as the process says, as the kernel says, and as PostgreSQL says: what each is doing."""
    redis: tuple[int, int, list[int]]
    """Channels as the process says, connections as the kernel says, subscriptions of each as Redis says."""

    def since(self, before: "Holdings") -> dict[str, Any]:
        """What should not be held, and is: more than `before`, or by one end of a wire only."""
        pooled, to_database, states = self.database
        channels, to_redis, subscriptions = self.redis
        return {
            name: found
            for name, found in {
                "tasks": self.tasks - before.tasks - KEPT,
                "threads": self.threads - before.threads,
                "native threads": max(0, self.native_threads - before.native_threads),
                "files": self.files - before.files,
                "ends that disagree": [
                    counts
                    for counts in ([pooled, to_database, len(states)], [to_redis, len(subscriptions)])
                    if len(set(counts)) > 1
                ],
                "connections that were not given back": self.lent,
                "more connections than a pool has": max(0, len(states) - POOL),
                "statements and transactions": [state for state in states if state != "idle"],
                "subscriptions": channels + sum(subscriptions),
            }.items()
            if found
        }


def holdings(served: "Served") -> Holdings:
    """Now. What the question itself takes is in every count alike."""
    with httpx.Client(base_url=served.url, headers={"Connection": "close"}, timeout=30) as client:
        says = client.get(PATH).json()
    files, ports = open_files(served)
    pooled_threads = sum(1 for name in says["threads"] if IN_POOLS.match(name))
    return Holdings(
        Counter(says["tasks"]),
        Counter(name for name in says["threads"] if not IN_POOLS.match(name)),
        sum(len(list(Path(f"/proc/{pid}/task").iterdir())) for pid in served.pids()) - pooled_threads,
        files,
        says["lent"],
        (says["pooled"], *at_postgresql(ports)),
        (says["channels"], *at_redis(ports)),
    )


def open_files(served: "Served") -> tuple[Counter[str], dict[int, int]]:
    """By their kind, without the connections to others: from which port here each of those goes to which port there."""
    lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    tcp = {f"socket:[{line[9]}]": (line[3], int(line[1][-4:], 16), int(line[2][-4:], 16)) for line in lines}
    files: Counter[str] = Counter()
    ports = {}
    for pid in served.pids():
        for file in Path(f"/proc/{pid}/fd").iterdir():
            try:
                name = os.readlink(file)
            except FileNotFoundError:
                continue  # closed meanwhile
            state, here, there = tcp.get(name, ("", 0, 0))
            if not here:
                files[re.sub(r"\[\d+\]", "", name)] += 1
            elif state == LISTENING:
                files["listening"] += 1
            elif here == served.address[1]:
                files["client"] += 1
            else:
                ports[here] = there
    return files, ports


def at_postgresql(ports: dict[int, int]) -> tuple[int, list[str | None]]:
    if connection.vendor != "postgresql":
        return 0, []
    ours = ports_to(int(connection.settings_dict["PORT"] or 5432), ports)
    with connection.cursor() as cursor:
        cursor.execute("SELECT state FROM pg_stat_activity WHERE client_port = ANY(%s)", [ours])
        return len(ours), [state for (state,) in cursor.fetchall()]


def at_redis(ports: dict[int, int]) -> tuple[int, list[int]]:
    if not settings.REDIS_URL:
        return 0, []
    ours = ports_to(urlsplit(settings.REDIS_URL).port or 6379, ports)
    with Redis.from_url(settings.REDIS_URL) as redis:
        clients = [one for one in redis.client_list() if int(one["addr"].rpartition(":")[2]) in ours]
    return len(ours), [int(one["sub"]) + int(one["psub"]) for one in clients]


def ports_to(port: int, ports: dict[int, int]) -> list[int]:
    """Of our connections. Somebody else may have one from the same port here, to another one there."""
    return [here for here, there in ports.items() if there == port]
