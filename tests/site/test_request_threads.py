"""A request keeps one thread until it has its answer, and no connection; the next one finds the thread clean."""

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from asgiref.sync import sync_to_async
from channels.db import database_sync_to_async
from django.db import connection, connections, transaction
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.urls import path

from apps.users.models import User
from config import request_threads
from config.handler import Handler
from config.request_threads import request_thread
from tests.site.test_connections import connections_taken


def who() -> int:
    return threading.get_ident()


@database_sync_to_async
def ask() -> int:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return threading.get_ident()


async def test_it_works(transactional_db: None) -> None:
    threads = set()
    for _ in range(2):
        with connections_taken() as taken:
            async with request_thread():
                for step in (ask(), sync_to_async(User.objects.exists)(), ask()):
                    await step
                    assert taken
                    assert {one.connection for one in taken} == {None}  # it is given back after each step
                threads |= {await ask(), await sync_to_async(who)()}
    assert len(threads) == 1


async def test_each_has_its_own(transactional_db: None) -> None:
    """Nobody waits for another's step; there are as many threads as that needs, and of those some are kept."""
    count = request_threads.MAX_IDLE + 3
    barrier = threading.Barrier(count)

    def wait_for_all() -> int:
        barrier.wait(20)
        return who()

    async def request() -> int:
        async with request_thread():
            return await sync_to_async(wait_for_all)()

    for _ in range(2):
        assert len(set(await asyncio.gather(*(request() for _ in range(count))))) == count
        assert len(request_threads._idle) == request_threads.MAX_IDLE


async def test_a_transaction_that_is_left_open(transactional_db: None) -> None:
    @sync_to_async
    def leave_open() -> None:
        transaction.atomic().__enter__()
        User.objects.create_user("left@example.com")

    async with request_thread():
        await leave_open()
    async with request_thread():
        assert not await database_sync_to_async(User.objects.exists)()
        await database_sync_to_async(User.objects.create_user)("kept@example.com")
    assert await User.objects.aget()


async def test_a_step_that_is_running_when_the_request_ends(transactional_db: None) -> None:
    """It is waited for. Where even that is cancelled, who comes next does not wait for it."""
    begun, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    def slow() -> None:
        with transaction.atomic():
            User.objects.create_user("slow@example.com")
            begun.set()
            may_end.wait(20)
        connections.close_all()
        ended.set()

    async def request() -> None:
        async with request_thread():
            await database_sync_to_async(slow)()

    async def following() -> bool:
        async with request_thread():
            return await database_sync_to_async(User.objects.exists)()

    with connections_taken() as taken:
        task = asyncio.create_task(request())
        await asyncio.to_thread(begun.wait, 20)
        task.cancel()
        for _ in range(10):
            await asyncio.sleep(0)
        assert not task.done()
        while not task.done():
            task.cancel()
            await asyncio.sleep(0)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not await following()
        may_end.set()
        await asyncio.to_thread(ended.wait, 20)
    assert {one.connection for one in taken} == {None}


async def test_a_task_that_outlives_its_request(transactional_db: None) -> None:
    may_ask = asyncio.Event()

    async def later() -> bool:
        await may_ask.wait()
        return await database_sync_to_async(User.objects.exists)()

    with connections_taken() as taken:
        async with request_thread():
            await ask()
            task = asyncio.create_task(later())
        may_ask.set()
        assert not await task
    assert {one.connection for one in taken} == {None}


def streamed(request: HttpRequest) -> StreamingHttpResponse:
    User.objects.exists()

    async def parts() -> AsyncIterator[str]:
        yield "a"
        yield "b"

    return StreamingHttpResponse(parts())


def plain(request: HttpRequest) -> HttpResponse:
    User.objects.exists()
    return HttpResponse("x")


urlpatterns = [path("streamed/", streamed), path("plain/", plain)]


@pytest.mark.urls(__name__)
@pytest.mark.parametrize("page", ["/plain/", "/streamed/"])
async def test_who_reads_slowly_keeps_no_connection(transactional_db: None, settings: Any, page: str) -> None:
    settings.MIDDLEWARE = []
    handler = Handler()
    reads: list[bool] = []
    with connections_taken() as taken:

        async def slow(scope: Any, receive: Any, send: Any) -> None:
            async def read(message: Any) -> None:
                reads.append(all(one.connection is None for one in taken))
                await send(message)

            await handler(scope, receive, read)

        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=slow), base_url="http://testserver") as client:
            assert (await client.get(page)).status_code == 200
    assert taken
    assert reads
    assert all(reads)
