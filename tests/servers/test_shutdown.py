"""SIGTERM with open sockets and a request under way, on every server."""

import asyncio
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import httpx
import pytest
from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import connection, transaction

from apps.notifications.kinds import Announcement
from apps.notifications.services import anotify
from apps.profiles.models import Profile
from config.management.commands.serve import OF_ONE_PROCESS, SERVERS
from tests.clients import session_cookies
from tests.conftest import User
from tests.servers.clients import Browser, ended, hear, open_socket, profile_locked, say, websocket
from tests.servers.conftest import END_SECONDS, EXIT_CODES, SERVICE_RESTART, Served, eventually, somebody_waits
from tests.servers.test_websocket import ACK, INIT, SUBSCRIPTION, subscribe
from tests.site.test_floods import RawSocket

pytestmark = pytest.mark.servers

UPDATE = 'mutation { updateProfile(input: { bio: "saved" }) { __typename } }'


async def terminate(served: Served) -> None:
    """Sends the signal, and waits until the server has heard it."""
    served.process.send_signal(signal.SIGTERM)
    async with httpx.AsyncClient(base_url=served.url) as client:
        while (ready := await client.get("/health/ready/")).status_code == 200:
            pass
    assert (ready.status_code, ready.json()["status"]) == (503, "stopping")


@pytest.mark.parametrize("name", SERVERS)
async def test_it_works(start: Callable[..., Served], name: str, alice: User, bob: User) -> None:
    served = await sync_to_async(start)(name, SHUTDOWN_DELAY_SECONDS="2")
    browser = await sync_to_async(lambda: Browser(served, alice).__enter__())()
    deaf = await asyncio.to_thread(RawSocket, served, await sync_to_async(session_cookies)(bob))
    with closing(browser), closing(deaf):
        deaf.send([INIT, subscribe(SUBSCRIPTION)])  # and it will read nothing, and never answer the close
        async with asyncio.timeout(30):
            subscribed, silent = await websocket(served, alice), await websocket(served, bob)
            await say(subscribed, INIT, subscribe(SUBSCRIPTION))
            assert await hear(subscribed) == ACK
            await hear(subscribed)

            await terminate(served)
            began = time.monotonic()

            await anotify([alice], Announcement("still here"))
            change = (await hear(subscribed))["payload"]["data"]["inboxChanged"]
            assert change["notifications"] == [{"title": "still here"}]

            lock = profile_locked(alice)
            await sync_to_async(lock.__enter__)()
            answer = asyncio.create_task(asyncio.to_thread(browser.ask, UPDATE))
            code = SERVICE_RESTART.get(name, 1012)
            assert [await ended(subscribed), await ended(silent)] == [code, code]
            assert not answer.done()
            await sync_to_async(lock.__exit__)(None, None, None)

            assert await answer == {"data": {"updateProfile": {"__typename": "Profile"}}}
            await asyncio.to_thread(served.process.wait)
            assert time.monotonic() - began < END_SECONDS
            assert served.process.returncode == EXIT_CODES.get(name, 0)
    assert (await Profile.objects.aget(user=alice)).bio == "saved"


@contextmanager
def sessions_locked() -> Iterator[None]:
    """Nobody can be asked who they are until the end of this."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("LOCK TABLE accounts_session IN ACCESS EXCLUSIVE MODE")
        yield


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite can't lock one table.")
@pytest.mark.parametrize("name", SERVERS)
async def test_a_socket_that_is_just_being_opened(start: Callable[..., Served], name: str, alice: User) -> None:
    served = await sync_to_async(start)(name)
    cookies = await sync_to_async(session_cookies)(alice)
    lock = sessions_locked()
    async with asyncio.timeout(30):
        await sync_to_async(lock.__enter__)()
        opening = asyncio.create_task(open_socket(served, cookies))
        await sync_to_async(eventually)(somebody_waits)
        await terminate(served)
        await sync_to_async(lock.__exit__)(None, None, None)
        began = time.monotonic()
        assert await ended(await opening) == SERVICE_RESTART.get(name, 1012)
        await asyncio.to_thread(served.process.wait)
        assert time.monotonic() - began < END_SECONDS / 2


@pytest.mark.skipif(not settings.REDIS_URL, reason="Several processes need Redis between them.")
@pytest.mark.parametrize("name", [name for name in SERVERS if name not in OF_ONE_PROCESS])
async def test_of_two_processes(start: Callable[..., Served], name: str, alice: User) -> None:
    served = await sync_to_async(start)(name, WEB_CONCURRENCY="2")
    async with asyncio.timeout(30):
        sockets = [await websocket(served, alice) for _ in range(8)]
        served.process.send_signal(signal.SIGTERM)
        assert {await ended(socket) for socket in sockets} == {1012}
        assert await asyncio.to_thread(served.process.wait) == 0
