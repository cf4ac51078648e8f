"""SIGTERM ends a server in order: it says so, sends its sockets elsewhere, answers what it was asked, and is gone."""

import asyncio
import os
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from typing import Any

import httpx
import pytest
from asgiref.sync import sync_to_async
from django.db import connection, transaction
from pytest_django import Settings
from websockets.exceptions import InvalidStatus

from apps.notifications.kinds import Announcement
from apps.notifications.services import anotify, lock_inboxes
from config.shutdown import Shutdown
from tests.clients import session_cookies
from tests.conftest import User
from tests.processes import Server
from tests.site.test_daphne import POLL, event, subscribed

pytestmark = pytest.mark.alone  # sockets and requests have some seconds until the server ends

MARK_ALL_READ = "mutation { markAllNotificationsRead(upTo: 0) { ... on InboxUpdate { unreadCount } } }"


async def terminate(server: Server) -> None:
    """Sends the signal, and waits until the server has heard it."""
    server.process.send_signal(signal.SIGTERM)
    async with httpx.AsyncClient(base_url=server.url) as client, asyncio.timeout(5):
        while (ready := await client.get("/health/ready/")).status_code == 200:
            pass
    assert (ready.status_code, ready.json()["status"]) == (503, "stopping")


async def test_it_works(start_server: Callable[..., Server], alice: User) -> None:
    server = await sync_to_async(start_server)(SHUTDOWN_DELAY_SECONDS="1", NOTIFICATIONS_POLL_SECONDS=POLL)
    async with subscribed(server, alice) as socket:
        await event(socket)
        async with asyncio.timeout(10):
            await terminate(server)
            await anotify([alice], Announcement("still here"))
            assert (await event(socket))["notifications"][0]["title"] == "still here"
            await socket.wait_closed()
            assert socket.close_code == 4503
            assert await asyncio.to_thread(server.process.wait) == 0


async def test_a_new_socket_has_to_go_elsewhere(start_server: Callable[..., Server], alice: User) -> None:
    server = await sync_to_async(start_server)(SHUTDOWN_DELAY_SECONDS="5")
    await terminate(server)
    with pytest.raises(InvalidStatus):
        async with subscribed(server, alice):
            pass


@asynccontextmanager
async def inbox_locked(user: User) -> AsyncIterator[None]:
    """Whoever changes the user's inbox waits until the end of this."""
    locked, release = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def hold() -> None:
        with transaction.atomic():
            lock_inboxes([user.pk])
            loop.call_soon_threadsafe(locked.set)
            release.wait(30)
        connection.close()

    holding = asyncio.create_task(asyncio.to_thread(hold))
    await locked.wait()
    try:
        yield
    finally:
        release.set()
        await holding


async def test_a_request_is_answered_first(start_server: Callable[..., Server], alice: User) -> None:
    server = await sync_to_async(start_server)(SHUTDOWN_DELAY_SECONDS="0.2")
    cookies = await sync_to_async(session_cookies)(alice)
    async with httpx.AsyncClient(base_url=server.url, cookies=cookies) as client, subscribed(server, alice) as socket:
        await client.post("/graphql/")
        headers = {"X-CSRFToken": client.cookies["csrftoken"]}
        async with inbox_locked(alice):
            answer = asyncio.create_task(client.post("/graphql/", json={"query": MARK_ALL_READ}, headers=headers))
            await terminate(server)
            await socket.wait_closed()
            assert not answer.done()
        assert (await answer).json() == {"data": {"markAllNotificationsRead": {"unreadCount": 0}}}
    assert await asyncio.to_thread(server.process.wait, 10) == 0


async def test_the_second_signal_is_the_server_s_at_once(start_server: Callable[..., Server]) -> None:
    server = await sync_to_async(start_server)(SHUTDOWN_DELAY_SECONDS="3600")
    await terminate(server)
    server.process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(server.process.wait, 10) == 0


@pytest.fixture
def server_heard() -> Iterator[list[int]]:
    """This process as one whose server handles SIGTERM: what that heard."""
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: heard.append(number))
    yield heard
    signal.signal(signal.SIGTERM, before)


class Socket(ExitStack):
    """Under way until it is closed."""

    closed_with: int | None = None

    async def end(self, code: int, reason: str) -> None:
        self.closed_with = code
        self.close()


async def test_a_server_with_a_lifespan_is_one_that_can_say_1012(server_heard: list[int], settings: Settings) -> None:
    settings.SHUTDOWN_DELAY_SECONDS = 0
    shutdown, socket = Shutdown(), Socket()
    socket.enter_context(shutdown.under_way)
    shutdown.opened(socket)
    events = iter(["lifespan.startup", "lifespan.shutdown"])
    sent: list[Any] = []

    async def receive() -> dict[str, str]:
        return {"type": next(events)}

    async def send(message: dict[str, str]) -> None:
        sent.append(message["type"])

    shutdown.listen()
    await shutdown.lifespan(receive, send)
    assert sent == ["lifespan.startup.complete", "lifespan.shutdown.complete"]

    os.kill(os.getpid(), signal.SIGTERM)
    async with asyncio.timeout(5):
        while not server_heard:
            await asyncio.sleep(0.01)
    assert socket.closed_with == 1012


async def test_where_nobody_listens_for_the_signal_it_keeps_its_meaning() -> None:
    before = signal.getsignal(signal.SIGTERM)
    Shutdown().listen()
    assert signal.getsignal(signal.SIGTERM) is before is signal.SIG_DFL


@pytest.mark.loops("uvloop")
async def test_a_server_whose_handler_nobody_can_have_keeps_it(caplog: pytest.LogCaptureFixture) -> None:
    heard = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, heard.set)
    try:
        Shutdown().listen()
        assert "No orderly end" in caplog.text
        os.kill(os.getpid(), signal.SIGTERM)
        async with asyncio.timeout(5):
            await heard.wait()
    finally:
        loop.remove_signal_handler(signal.SIGTERM)


def test_a_mail_server_that_does_not_answer_is_not_waited_for(start_server: Callable[..., Server]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        server = start_server(EMAIL_URL=f"smtp://127.0.0.1:{deaf.getsockname()[1]}")
        with httpx.Client(base_url=server.url) as client:
            client.post("/graphql/")
            headers = {"X-CSRFToken": client.cookies["csrftoken"]}
            for number in range(6):
                document = (
                    f'mutation {{ requestPasswordReset(input: {{ email: "{number}@example.com" }}) {{ __typename }} }}'
                )
                assert client.post("/graphql/", json={"query": document}, headers=headers).status_code == 200
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(10) == 0
    assert "Left undone in the background: 6" in server.log.read_text()
