"""The same site on each server that `manage.py serve` knows, seen from outside: one process of each."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from django.db import connection
from pytest_django import DjangoDbBlocker

from config.management.commands.serve import SERVERS
from tests.processes import ROOT, START_SECONDS, Server, environment
from tests.servers.holdings import Holdings, holdings
from tests.site.machine import free_port

REST_SECONDS = 20
"""How long a server has to let go of what nobody needs any more."""
END_SECONDS = 10
"""What Docker, Kubernetes and systemd allow."""
SERVICE_RESTART = {"daphne": 4503}
"""With which a socket is closed at SIGTERM; everywhere else 1012."""
EXIT_CODES = {"uvicorn": -signal.SIGTERM}
"""Uvicorn ends in order, and then by the signal that it was sent; all others with 0."""


class Served(Server):
    """What `manage.py serve` starts."""

    def __init__(self, name: str, directory: Path, static: Path, **changes: str) -> None:
        self.name = name
        self.mail_dir = directory / "mail"
        self.log = directory / "server.log"
        self.address = ("127.0.0.1", int(free_port()))
        self.url = f"http://{self.address[0]}:{self.address[1]}"
        own = {
            "SERVER": name,
            "DJANGO_SETTINGS_MODULE": "tests.servers.counting_settings",
            "HOST": self.address[0],
            "PORT": str(self.address[1]),
            "SITE_URL": self.url,
            "EMAIL_URL": f"filemail://{self.mail_dir}",
            "STATIC_ROOT": str(static),
            "MEDIA_ROOT": str(directory / "media"),
            "SHUTDOWN_DELAY_SECONDS": "0",
            "NOTIFICATIONS_POLL_SECONDS": "0.5",  # it is also how soon a sign-in that has ended is noticed
        }
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "serve"],
                cwd=ROOT,
                env=environment(**own | changes),
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        try:
            eventually(self._answers, START_SECONDS)
        except BaseException:
            self.kill()
            raise

    def _answers(self) -> bool:
        assert self.process.poll() is None, self.log.read_text()
        try:
            return httpx.get(f"{self.url}/health/ready/", timeout=START_SECONDS).status_code == 200
        except httpx.TransportError:
            return False

    def pids(self) -> list[int]:
        """Of the process and those that it started; the last one is of those that serve."""
        pids = [self.process.pid]
        for pid in pids:
            for children in Path(f"/proc/{pid}/task").glob("*/children"):
                with suppress(FileNotFoundError, ProcessLookupError):  # a thread that has ended meanwhile
                    pids.extend(map(int, children.read_text().split()))
        return pids

    def connect(self) -> socket.socket:
        return socket.create_connection(self.address, timeout=30)

    def clients(self) -> dict[int, bool]:
        """The ports at the other end of its connections, and whether it has read that nobody is there any more."""
        lines = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        here, established, half_closed = f":{self.address[1]:04X}", "01", "08"
        return {
            int(there[-4:], 16): state == half_closed and queues.endswith(":00000000")
            for _, local, there, state, queues, *_ in lines
            if local.endswith(here) and state in {established, half_closed}
        }

    def end(self) -> None:
        """By SIGTERM, in order and in time."""
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(END_SECONDS) == EXIT_CODES.get(self.name, 0), self.log.read_text()

    def kill(self) -> None:
        """With its children, which know nothing of it."""
        for pid in self.pids() if self.process.poll() is None else []:
            os.kill(pid, signal.SIGKILL)
        self.process.wait(END_SECONDS)


def somebody_waits() -> bool:
    """For a lock in the tests' PostgreSQL."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'")
        return bool(cursor.fetchall())


def eventually(condition: Callable[[], object], seconds: float = 20) -> None:
    """Returns when it holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "That does not come to pass."
        time.sleep(0.05)


def comes_to_rest(served: Served, before: Holdings) -> None:
    """It lets go of all that it did not hold before."""
    deadline = time.monotonic() + REST_SECONDS
    while held := holdings(served).since(before):
        assert time.monotonic() < deadline, held
        time.sleep(0.05)


@pytest.fixture(scope="session", params=SERVERS)
def served(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
    static: Path,
    django_db_blocker: DjangoDbBlocker,
) -> Iterator[Served]:
    """After all the tests it holds what it held before, comes to its end, and has found nothing to complain about."""
    served = Served(request.param, tmp_path_factory.mktemp(request.param), static)
    try:
        with django_db_blocker.unblock():
            before = holdings(served)
        yield served
        with django_db_blocker.unblock():
            comes_to_rest(served, before)
            connection.close()
        served.end()
    finally:
        served.kill()
    log = served.log.read_text()
    for complaint in ("Not all came to its end", "Traceback", "never awaited", "never retrieved", "was destroyed"):
        assert complaint not in log, log


@pytest.fixture
def start(
    transactional_db: None, tmp_path_factory: pytest.TempPathFactory, static: Path
) -> Iterator[Callable[..., Served]]:
    """`start("granian", VARIABLE="value")`: one for this test only."""
    started: list[Served] = []

    def start_server(name: str, **changes: str) -> Served:
        started.append(Served(name, tmp_path_factory.mktemp(name), static, **changes))
        return started[-1]

    yield start_server
    for served in started:
        served.kill()
