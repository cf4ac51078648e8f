"""PostgreSQL and Redis that the tests start themselves: own ports on 127.0.0.1, own folders, an unprivileged user."""

import asyncio
import inspect
import os
import pwd
import shutil
import signal
import socket
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import psycopg
import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

PATIENCE = 30
"""Seconds that anything may take of which nothing else is said."""
MISSING = "These tests start servers of their own. On Debian: apt-get install"


async def until(
    condition: Callable[[], bool | Awaitable[bool]], what: str, seconds: float = PATIENCE, every: float = 0.05
) -> None:
    """Waits until the condition holds. A test that waits longer than `seconds` fails, and says for `what` it waited."""
    deadline = time.monotonic() + seconds
    while True:
        holds = condition()
        if await holds if inspect.isawaitable(holds) else holds:
            return
        assert time.monotonic() < deadline, f"{what}: still not so after {seconds:g} s"
        await asyncio.sleep(every)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


class Service(ABC):
    """A server process: a child of the tests, with a port and a log that it keeps when it is started again."""

    stop_signal = signal.SIGTERM
    options: dict[str, Any] = {}
    """For `subprocess.Popen`."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        self.directory = directory
        self.port = free_port()
        self.log = directory.with_suffix(".log")
        self._process: subprocess.Popen[bytes] | None = None

    @abstractmethod
    def command(self) -> list[str]: ...

    @abstractmethod
    async def answers(self) -> bool:
        """Whether it serves."""

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    async def start(self) -> None:
        """Returns when it answers."""
        self._spawn()
        await until(self._answers_or_ended, f"{type(self).__name__} answers")

    def _spawn(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(self.command(), stdout=log, stderr=subprocess.STDOUT, **self.options)

    async def _answers_or_ended(self) -> bool:
        assert self.runs(), f"{type(self).__name__} ended:\n{self.log.read_text()[-2000:]}"
        return await self.answers()

    async def stop(self, seconds: float = PATIENCE) -> None:
        """An orderly end. One that takes longer than `seconds` fails, and is then made by force."""
        if not self.runs():
            return
        self.resume()
        self.send(self.stop_signal)
        try:
            await until(lambda: not self.runs(), f"{type(self).__name__} ends by {self.stop_signal.name}", seconds)
        finally:
            if self.runs():
                await self.kill()

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    async def kill(self) -> None:
        self.send(signal.SIGKILL)
        await until(lambda: not self.runs(), f"{type(self).__name__} is killed")

    def pause(self) -> None:
        """From now on it does nothing, and keeps all its connections. (This one process: PostgreSQL has more.)"""
        self.send(signal.SIGSTOP)

    def resume(self) -> None:
        self.send(signal.SIGCONT)

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)


def unprivileged() -> pwd.struct_passwd | None:
    """As whom servers run where the tests run as root, for whom PostgreSQL does not work. None: as whoever this is."""
    if os.geteuid() != 0:
        return None
    known = {account.pw_name: account for account in pwd.getpwall()}
    return known.get("postgres") or known["nobody"]


class DataService(Service):
    """With its data in its folder."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.options = {"cwd": directory}
        if account := unprivileged():
            os.chown(directory, account.pw_uid, account.pw_gid)
            self.options |= {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


class PostgreSQL(DataService):
    stop_signal = signal.SIGINT  # a "fast" shutdown: it ends all connections and rolls back what they were at

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.url = f"postgres://postgres@127.0.0.1:{self.port}/postgres"
        self._programs = postgresql_programs()
        subprocess.run(
            [
                str(self._programs / "initdb"),
                "-D",
                "data",
                "-U",
                "postgres",
                "--auth=trust",
                "--encoding=UTF8",
                "--no-sync",
            ],
            check=True,
            stdout=subprocess.DEVNULL,
            timeout=PATIENCE,
            **self.options,
        )

    def command(self) -> list[str]:
        settings = ("listen_addresses=127.0.0.1", f"port={self.port}", "unix_socket_directories=")
        return [str(self._programs / "postgres"), "-D", "data", *(part for each in settings for part in ("-c", each))]

    async def answers(self) -> bool:
        try:
            await self.ask("SELECT 1")
        except psycopg.OperationalError:
            return False
        return True

    async def ask(self, statement: str) -> list[dict[str, Any]]:
        """The rows of one statement, on a connection of its own."""
        connecting = psycopg.AsyncConnection.connect(
            self.url, autocommit=True, connect_timeout=5, row_factory=psycopg.rows.dict_row
        )
        async with await connecting as connection:
            cursor = await connection.execute(statement.encode())
            return await cursor.fetchall() if cursor.description else []


def postgresql_programs() -> Path:
    """The folder of `initdb` and `postgres`, which distributions like to keep off PATH."""
    if found := shutil.which("initdb"):
        return Path(found).parent
    if shutil.which("pg_config"):
        bindir = Path(subprocess.check_output(["pg_config", "--bindir"], text=True, timeout=PATIENCE).strip())
        if (bindir / "initdb").exists():
            return bindir
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: float(path.parts[-3]))
    assert versions, f"No `initdb` found. {MISSING} postgresql"
    return versions[-1].parent


class Redis(DataService):
    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> list[str]:
        program = shutil.which("redis-server")
        assert program, f"No `redis-server` found. {MISSING} redis-server"
        return [program, "--bind", "127.0.0.1", "--port", str(self.port), "--save", "", "--appendonly", "no"]

    async def answers(self) -> bool:
        try:
            await self.ask("PING")
        except redis.RedisError:
            return False
        return True

    async def ask(self, *command: str) -> Any:
        """One try, of a second at the most."""
        client = redis.asyncio.Redis(
            port=self.port, socket_connect_timeout=1, socket_timeout=1, retry=Retry(NoBackoff(), 0)
        )
        async with client:
            return await client.execute_command(*command)  # type: ignore[no-untyped-call]
