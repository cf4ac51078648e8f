"""Who is measured, each as a server process of its own: this site, what the documentation leads to, and the limit."""

import asyncio
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

from tests.bench.meter import cpu_us
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
    is_usual: bool = True
    """It is measured unless others are asked for."""


def site_on(server: str, *, is_usual: bool) -> Contender:
    return replace(SITE, name=f"site-{server}", what=f"this site on {server.title()}", server=server, is_usual=is_usual)


SITE = Contender("site", "this site", "uvicorn", "", QUERY, SUBSCRIPTION, greets=True, publisher="site")
CONTENDERS = (
    SITE,
    site_on("daphne", is_usual=True),
    site_on("granian", is_usual=False),
    site_on("hypercorn", is_usual=False),
    Contender("plain", "plain set-up", "uvicorn", "tests.bench.plain:application", publisher="plain"),
    Contender("plain-daphne", "plain set-up on Daphne", "daphne", "tests.bench.plain:application"),
    Contender("limit", "limit", "uvicorn", "tests.bench.limit:application", publisher="limit"),
)


class Web(Service):
    """One contender's server. All of Uvicorn's have the options of `manage.py serve`."""

    def __init__(self, directory: Path, contender: Contender, environment: dict[str, str]) -> None:
        super().__init__(directory)
        self.contender = contender
        self.url = f"http://127.0.0.1:{self.port}"
        own = {"SERVER": contender.server, "HOST": "127.0.0.1", "PORT": str(self.port), "SITE_URL": self.url}
        own |= {"WEB_CONCURRENCY": "1", "DATABASE_URL": environment["DATABASE_URL"].replace("//postgres@", "//web@")}
        self.options = {"cwd": ROOT, "env": environment | own}

    def command(self) -> list[str]:
        if not self.contender.application:
            return [sys.executable, "manage.py", "serve"]
        if self.contender.server == "daphne":
            options = ["--bind", "127.0.0.1"]
        else:
            options = ["--ws", "websockets-sansio", "--ws-per-message-deflate", "false"]
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
