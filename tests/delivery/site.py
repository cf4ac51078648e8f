"""A site as it is deployed: PostgreSQL, Redis, two web processes, and a hundred users who are signed in."""

import asyncio
import json
import os
import secrets
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from tests.delivery.services import PostgreSQL, Redis, Service
from tests.processes import ROOT

USERS = 100
POLL_SECONDS = 2.0


def websocket_url(port: int) -> str:
    return f"ws://127.0.0.1:{port}/graphql/"


class Web(Service):
    """A Daphne process."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.url = f"http://127.0.0.1:{self.port}"
        self.websocket_url = websocket_url(self.port)

    def command(self) -> list[str]:
        return [sys.executable, "-m", "daphne", "-b", "127.0.0.1", "-p", str(self.port), "config.asgi:application"]

    async def answers(self) -> bool:
        return await self.ready() == httpx.codes.OK

    async def ready(self) -> int | None:
        """The status of the health check. None: nobody answers."""
        try:
            async with httpx.AsyncClient(base_url=self.url, timeout=5) as client:
                return (await client.get("/health/ready/")).status_code
        except httpx.TransportError:
            return None

    @property
    def memory(self) -> int:
        """Resident, in bytes."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        [kilobytes] = [line.split()[1] for line in lines if line.startswith("VmRSS:")]
        return int(kilobytes) * 1024


class Site:
    def __init__(self, directory: Path) -> None:
        directory.chmod(0o711)  # the services' user passes through
        self.directory = directory
        self.postgresql = PostgreSQL(directory / "postgresql")
        self.redis = Redis(directory / "redis")
        self.webs = [Web(directory / f"web{number}") for number in range(2)]
        self.users: dict[int, dict[str, str]] = {}
        """The cookies of each."""
        self.environment = os.environ | {
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "DEBUG": "0",
            "SECRET_KEY": secrets.token_urlsafe(50),
            "SITE_URL": self.webs[0].url,
            "CSRF_TRUSTED_ORIGINS": ",".join(web.url for web in self.webs),
            "ALLOWED_HOSTS": "127.0.0.1",
            "DATABASE_URL": self.postgresql.url,
            "REDIS_URL": self.redis.url,
            "CELERY_BROKER_URL": "",
            "EMAIL_URL": f"filemail://{directory}/mail",
            "MEDIA_ROOT": str(directory / "media"),
            "STATIC_ROOT": str(directory / "static"),
            "NOTIFICATIONS_POLL_SECONDS": str(POLL_SECONDS),
        }
        for web in self.webs:
            web.options = {"cwd": ROOT, "env": self.environment}

    async def python(self, *arguments: str, seconds: float = 120) -> str:
        """Runs a program of the site; returns what it printed."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, cwd=ROOT, env=self.environment, stdout=asyncio.subprocess.PIPE
        )
        try:
            async with asyncio.timeout(seconds):
                printed, _ = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
        assert process.returncode == 0, f"{arguments} failed"
        return printed.decode()

    def headers(self, user: int) -> dict[str, str]:
        cookies = "; ".join(f"{name}={value}" for name, value in self.users[user].items())
        return {"Cookie": cookies, "Origin": self.webs[0].url}

    async def reset(self) -> None:
        """Everything runs, also after a test that broke off, and every inbox is as that of a new user."""
        for service in (self.postgresql, self.redis, *self.webs):
            if service.runs():
                service.resume()
            else:
                await service.start()
        await self.postgresql.ask("TRUNCATE notifications_notification")
        await self.postgresql.ask("UPDATE notifications_inbox SET sequence = 0, unread = 0, floor = 0")

    async def notifications(self) -> list[dict[str, Any]]:
        return await self.postgresql.ask(
            "SELECT recipient_id, sequence, data->>'title' AS title, read_at IS NOT NULL AS read_at,"
            " archived_at IS NOT NULL AS archived_at FROM notifications_notification"
        )

    async def inboxes(self) -> dict[int, dict[str, Any]]:
        rows = await self.postgresql.ask("SELECT user_id, sequence, unread FROM notifications_inbox")
        return {row.pop("user_id"): row for row in rows}


@asynccontextmanager
async def prepared(prefix: str = "delivery-") -> AsyncIterator[Site]:
    """With its database and its Redis. No web process runs yet."""
    with TemporaryDirectory(prefix=prefix) as directory:
        site = Site(Path(directory))
        async with AsyncExitStack() as stack:
            for service in (site.postgresql, site.redis):
                stack.push_async_callback(service.stop)
                await service.start()
            yield site


@asynccontextmanager
async def serving() -> AsyncIterator[Site]:
    async with prepared() as site, AsyncExitStack() as stack:
        cookies = json.loads(await site.python("-m", "tests.delivery.users", str(USERS)))
        site.users = {int(user): each for user, each in cookies.items()}
        for web in site.webs:
            stack.push_async_callback(web.stop)
        await asyncio.gather(*(web.start() for web in site.webs))
        yield site
