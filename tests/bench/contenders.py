"""Who is measured, each as a server process of its own: this site, what the documentation leads to, and the limit."""

import asyncio
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.delivery.services import Service
from tests.processes import ROOT

QUERY = """query Bench {
  me { email profile { displayName avatar { url } } }
  notifications(first: 20) { edges { node { id title createdAt readAt actor { displayName avatar { url } } } } }
  unreadCount
}"""
SUBSCRIPTION = """subscription Bench { inboxChanged {
  sequence unreadCount notifications { id title createdAt readAt actor { displayName avatar { url } } }
} }"""
PLAIN_QUERY = """query Bench {
  me { email profile { displayName avatarUrl } }
  notifications(first: 20) { id title createdAt readAt actor { displayName avatarUrl } }
  unreadCount
}"""
PLAIN_SUBSCRIPTION = """subscription Bench { notificationAdded {
  id title createdAt readAt actor { displayName avatarUrl }
} }"""


@dataclass(frozen=True)
class Contender:
    name: str
    what: str
    server: str
    application: str = ""
    """Empty: what `manage.py serve` starts."""
    query: str = PLAIN_QUERY
    subscription: str = PLAIN_SUBSCRIPTION
    greets: bool = False
    """A subscription's first message comes at once, and is no event."""
    publisher: str = ""
    """Which one of `publisher.py`; without one, only queries are measured."""

    @property
    def is_ours(self) -> bool:
        return not self.application


def ours(server: str, publisher: str = "") -> Contender:
    name = f"this site, {server.title()}"
    return Contender(f"site-{server}", name, server, "", QUERY, SUBSCRIPTION, greets=True, publisher=publisher)


def plain(server: str, publisher: str = "") -> Contender:
    name = f"plain set-up, {server.title()}"
    return Contender(f"plain-{server}", name, server, "tests.bench.plain:application", publisher=publisher)


CONTENDERS = (
    ours("uvicorn", "site"),
    ours("daphne"),
    plain("uvicorn", "plain"),
    plain("daphne"),
    Contender("limit", "limit, Uvicorn", "uvicorn", "tests.bench.limit:application", publisher="limit"),
)


class Web(Service):
    """One contender's server. All of Uvicorn's have the options of `manage.py serve`."""

    def __init__(self, directory: Path, contender: Contender, environment: dict[str, str]) -> None:
        super().__init__(directory)
        self.contender = contender
        self.url = f"http://127.0.0.1:{self.port}"
        own = {"SERVER": contender.server, "HOST": "127.0.0.1", "PORT": str(self.port), "SITE_URL": self.url}
        self.options = {"cwd": ROOT, "env": environment | own | {"WEB_CONCURRENCY": "1"}}

    def command(self) -> list[str]:
        if self.contender.is_ours:
            return [sys.executable, "manage.py", "serve"]
        if self.contender.server == "daphne":
            options = ["--bind", "127.0.0.1"]
        else:
            options = ["--loop", "asyncio", "--ws", "websockets-sansio", "--ws-per-message-deflate", "false"]
            options += ["--host", "127.0.0.1", "--timeout-graceful-shutdown", "1"]
        server = [sys.executable, "-m", self.contender.server, "--port", str(self.port)]
        return [*server, *options, self.contender.application]

    async def answers(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        return True

    async def settled(self, seconds: float = 5) -> None:
        """Waits until it has finished what a load left behind, or these seconds are over."""
        deadline, before, now = time.monotonic() + seconds, -1e9, cpu_us(self.pid)
        while now - before > 15_000 and time.monotonic() < deadline:
            await asyncio.sleep(0.3)
            before, now = now, cpu_us(self.pid)


def cpu_us(pid: int) -> float:
    """Microseconds of CPU that a process and its children have used: by their clocks, and those that ended by ticks."""
    used = 0.0
    for each in family(pid):
        try:
            ended = sum(map(int, Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()[13:15]))
            used += ended * 1e6 / os.sysconf("SC_CLK_TCK") + time.clock_gettime_ns((~each << 3) | 2) / 1e3
        except OSError:  # it ended meanwhile: its parent has its time
            continue
    return used


def memory_kib(pid: int) -> int:
    """Resident."""
    lines = [line for each in family(pid) for line in Path(f"/proc/{each}/status").read_text().splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))


def family(pid: int) -> list[int]:
    pids = [pid]
    for each in pids:
        for children in Path(f"/proc/{each}/task").glob("*/children"):
            try:
                pids.extend(map(int, children.read_text().split()))
            except OSError:
                continue
    return pids
