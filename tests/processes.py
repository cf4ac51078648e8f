"""Real server processes on the tests' database, for what only a process shows."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from django.conf import settings
from django.db import connection
from pytest_django import Settings
from redis import Redis

ROOT = Path(__file__).parent.parent
START_SECONDS = 60


def environment(**changes: str) -> dict[str, str]:
    """What a production process needs to share the tests' database, sessions and files."""
    name = str(connection.settings_dict["NAME"])
    if connection.vendor == "sqlite":
        database = f"sqlite:///{name}"
    else:
        database = urlsplit(os.environ["DATABASE_URL"])._replace(path=f"/{name}").geturl()
    return os.environ | {
        "DJANGO_SETTINGS_MODULE": "config.settings",
        "DEBUG": "0",
        "SECRET_KEY": settings.SECRET_KEY,
        "SITE_URL": settings.SITE_URL,
        "DATABASE_URL": database,
        "MEDIA_ROOT": str(settings.MEDIA_ROOT),
        "PYTHONWARNINGS": "default",
        **changes,
    }


def manage(*arguments: str, **changes: str) -> str:
    """Runs `manage.py` in a process of its own; returns what it printed."""
    command = [sys.executable, "manage.py", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment(**changes), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Server:
    """A Daphne process. Its address is bound before it starts, so a first request simply waits until it serves."""

    def __init__(self, directory: Path, static: Path, *options: str, **changes: str) -> None:
        self.mail_dir = directory / "mail"
        self.log = directory / "server.log"
        address = ("127.0.0.1", int(changes.get("PORT", "0")))
        with socket.create_server(address, backlog=100) as listener, self.log.open("wb") as log:
            self.url = f"http://{changes.get('HOST', '127.0.0.1')}:{listener.getsockname()[1]}"
            own = {
                "SITE_URL": self.url,
                "EMAIL_URL": f"filemail://{self.mail_dir}",
                "STATIC_ROOT": str(static),
                "SHUTDOWN_DELAY_SECONDS": "0",
            }
            self.process = subprocess.Popen(
                [sys.executable, "-m", *self.command(listener.fileno()), *options],
                cwd=ROOT,
                env=environment(**own | changes),
                pass_fds=[listener.fileno()],
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        answer = httpx.get(f"{self.url}/health/ready/", timeout=START_SECONDS)
        assert answer.status_code == 200, self.log.read_text()

    def command(self, listener: int) -> list[str]:
        """What serves at the socket with this number."""
        return ["daphne", "--fd", str(listener), "config.asgi:application"]

    @property
    def websocket_url(self) -> str:
        return self.url.replace("http", "ws", 1) + "/graphql/"

    def stop(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait(10)
                raise


@pytest.fixture(scope="session")
def static(tmp_path_factory: pytest.TempPathFactory, django_db_setup: None) -> Path:
    """The static files as a deployment collects them."""
    directory = tmp_path_factory.mktemp("static")
    manage("collectstatic", "--noinput", "-v0", STATIC_ROOT=str(directory))
    return directory


@pytest.fixture
def _forget_tries() -> None:
    """Servers that share a Redis count rate limits together: also with those of the tests before."""
    if settings.REDIS_URL:
        with Redis.from_url(settings.REDIS_URL) as redis:
            for key in redis.scan_iter(f"{settings.REDIS_PREFIX}:*:allauth:rl:*"):
                redis.delete(key)


@pytest.fixture
def start_server(
    transactional_db: None, _forget_tries: None, tmp_path_factory: pytest.TempPathFactory, static: Path
) -> Iterator[Callable[..., Server]]:
    """`start_server("--option", VARIABLE="value")`: a server with these options and changes to its environment."""
    with ExitStack() as stack:

        def start(*options: str, **changes: str) -> Server:
            server = Server(tmp_path_factory.mktemp("server"), static, *options, **changes)
            stack.callback(server.stop)
            return server

        yield start


@pytest.fixture
def server(start_server: Callable[..., Server]) -> Server:
    return start_server()


@pytest.fixture(scope="module")
def start_shared_server(tmp_path_factory: pytest.TempPathFactory, static: Path) -> Iterator[Callable[..., Server]]:
    """As `start_server`, once for all tests of a module: a process takes seconds to start."""
    with ExitStack() as stack:

        def start(**changes: str) -> Server:
            directory = tmp_path_factory.mktemp("server")
            server = Server(directory, static, MEDIA_ROOT=str(directory / "media"), **changes)
            stack.callback(server.stop)
            return server

        yield start


@pytest.fixture(scope="module")
def shared_server(start_shared_server: Callable[..., Server]) -> Server:
    """A module may have one of its own, with changes to its environment."""
    return start_shared_server()


@pytest.fixture
def server_of_module(transactional_db: None, _forget_tries: None, shared_server: Server) -> Server:
    """Without the mails of the tests before."""
    for mail in shared_server.mail_dir.glob("*"):
        mail.unlink()
    return shared_server


@pytest.fixture
def media_of_module(shared_server: Server, settings: Settings) -> Path:
    """Where the server's files are, and by this fixture those of this process."""
    settings.MEDIA_ROOT = shared_server.mail_dir.with_name("media")
    return settings.MEDIA_ROOT
