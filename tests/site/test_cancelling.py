"""A query has so much time, and nobody waits for one that nobody waits for. A mutation, once begun, runs to its end."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from typing import Any, Self
from urllib.parse import urlsplit

import httpx
import pytest
from asgiref.testing import ApplicationCommunicator
from channels.db import database_sync_to_async
from django.db import connection, transaction

from apps.notifications import services as notifications
from apps.profiles import services as profiles
from apps.profiles.models import Profile
from config.asgi import application
from config.graphql import limits
from tests.clients import Answer, Api, session_cookies
from tests.conftest import ApiFor, User
from tests.processes import Server
from tests.site.test_connections import connections_taken

UNREAD_COUNT = "{ unreadCount }"
UPDATE = 'mutation { updateProfile(input: { bio: "Hello" }) { __typename } }'
TWO_UPDATES = """mutation {
  one: updateProfile(input: { bio: "One" }) { __typename }
  two: updateProfile(input: { bio: "Two" }) { __typename }
}"""
SOON = 10
"""Seconds, on a busy machine."""


class Waiting:
    """A service that waits until it may go on, and then does what it always does."""

    def __init__(self, service: Callable[..., Awaitable[Any]]) -> None:
        self._service = service
        self.begun, self.may_go_on, self.cancelled, self.done = (asyncio.Event() for _ in range(4))
        self.calls = 0

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        self.calls += 1
        self.begun.set()
        try:
            await self.may_go_on.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        result = await self._service(*args, **kwargs)
        self.done.set()
        return result


@pytest.fixture
async def query(monkeypatch: pytest.MonkeyPatch) -> Waiting:
    """The service behind `unreadCount`."""
    waiting = Waiting(notifications.aunread_count)
    monkeypatch.setattr(notifications, "aunread_count", waiting)
    return waiting


@pytest.fixture
async def mutation(monkeypatch: pytest.MonkeyPatch) -> Waiting:
    """The service behind `updateProfile`."""
    waiting = Waiting(profiles.aupdate_profile)
    monkeypatch.setattr(profiles, "aupdate_profile", waiting)
    return waiting


async def bio_of(user: User) -> str:
    return (await Profile.objects.aget(user=user)).bio


# ------------------------------------------------------------------------------------------------------------ too long


async def test_it_works(api: ApiFor, alice: User, query: Waiting) -> None:
    query.may_go_on.set()
    assert await (await api(alice)).data(UNREAD_COUNT) == {"unreadCount": 0}


@pytest.mark.parametrize("accept", ["application/json", "application/graphql-response+json"])
async def test_a_query_that_takes_too_long(
    api: ApiFor, alice: User, query: Waiting, monkeypatch: pytest.MonkeyPatch, accept: str
) -> None:
    client = await api(alice)
    headers = await client.csrf_headers() | {"Accept": accept}
    monkeypatch.setattr(limits, "MAX_SECONDS", 0.2)
    answer = await client.post("/graphql/", json={"query": "{ me { email } unreadCount }"}, headers=headers)
    assert answer.status_code == 200
    assert answer.json()["data"] is None
    assert Answer(answer).codes == ["TIMEOUT"]
    assert query.cancelled.is_set()
    query.may_go_on.set()
    assert await client.data(UNREAD_COUNT) == {"unreadCount": 0}


async def test_a_query_that_waits_in_a_thread(api: ApiFor, alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """The thread can't be interrupted, so the answer comes when it is done; and its connection comes back."""
    client = await api(alice)
    await client.csrf_headers()

    def wait(user: User) -> int:
        count = notifications.unread_count(user)
        time.sleep(1)
        return count

    monkeypatch.setattr(notifications, "aunread_count", database_sync_to_async(wait))
    monkeypatch.setattr(limits, "MAX_SECONDS", 0.5)
    with connections_taken() as taken:
        assert (await client.ask(UNREAD_COUNT)).codes == ["TIMEOUT"]
    assert taken
    assert [one for one in taken if one.connection is not None] == []


async def test_a_mutation_has_the_time_it_takes(
    api: ApiFor, alice: User, mutation: Waiting, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await api(alice)
    monkeypatch.setattr(limits, "MAX_SECONDS", 0)
    answer = asyncio.ensure_future(client.data(UPDATE))
    await asyncio.wait_for(mutation.begun.wait(), SOON)
    mutation.may_go_on.set()
    assert await answer == {"updateProfile": {"__typename": "Profile"}}


# ------------------------------------------------------------------------------------------------------- nobody waits


class Request(ApplicationCommunicator):
    """A request that its client can end before there is an answer."""

    def __init__(self, client: Api, token: str, document: str) -> None:
        request = client.build_request("POST", "/graphql/", json={"query": document}, headers={"X-CSRFToken": token})
        self._body = request.content
        url = urlsplit(str(request.url))
        super().__init__(  # type: ignore[no-untyped-call]
            application,
            {
                "type": "http",
                "asgi": {"version": "3.0"},
                "http_version": "1.1",
                "method": "POST",
                "headers": [(name.lower(), value) for name, value in request.headers.raw],
                "scheme": url.scheme,
                "path": url.path,
                "raw_path": url.path.encode(),
                "query_string": b"",
                "server": (url.hostname, 80),
                "client": ("127.0.0.1", 123),
            },
        )

    async def begin(self) -> None:
        await self.send_input({"type": "http.request", "body": self._body})  # type: ignore[no-untyped-call]

    async def go_away(self) -> None:
        await self.send_input({"type": "http.disconnect"})  # type: ignore[no-untyped-call]

    async def interrupted(self) -> None:
        """The application has heard that the client went away, and goes on."""
        async with asyncio.timeout(SOON):
            while not self.future.cancelling():
                await asyncio.sleep(0)
        assert not self.future.done()

    async def ended(self) -> None:
        """The application is done with it, and has answered nothing."""
        await self.wait(SOON)  # type: ignore[no-untyped-call]
        assert self.output_queue.empty()


@pytest.fixture
async def asks(api: ApiFor, alice: User) -> Callable[[str], Awaitable[Request]]:
    client = await api(alice)
    token = (await client.csrf_headers())["X-CSRFToken"]

    async def ask(document: str) -> Request:
        request = Request(client, token, document)
        await request.begin()
        return request

    return ask


type Asks = Callable[[str], Awaitable[Request]]


async def test_a_query_ends(asks: Asks, query: Waiting) -> None:
    request = await asks(UNREAD_COUNT)
    await asyncio.wait_for(query.begun.wait(), SOON)
    await request.go_away()
    await request.ended()
    assert query.cancelled.is_set()


async def test_a_query_gives_back_its_connection(asks: Asks, query: Waiting) -> None:
    with connections_taken() as taken:
        request = await asks("{ notificationPreferences { kind } unreadCount }")
        await asyncio.wait_for(query.begun.wait(), SOON)
        async with asyncio.timeout(SOON):
            while not taken:
                await asyncio.sleep(0)
        await request.go_away()
        await request.ended()
    assert [one for one in taken if one.connection is not None] == []


async def test_a_mutation_runs_to_its_end(asks: Asks, alice: User, mutation: Waiting) -> None:
    with connections_taken() as taken:
        request = await asks(UPDATE)
        await asyncio.wait_for(mutation.begun.wait(), SOON)
        await request.go_away()
        await request.interrupted()
        mutation.may_go_on.set()
        await request.ended()
    assert not mutation.cancelled.is_set()
    assert mutation.done.is_set()
    assert await bio_of(alice) == "Hello"
    assert [one for one in taken if one.connection is not None] == []


async def test_the_next_mutation_does_not_begin(asks: Asks, alice: User, mutation: Waiting) -> None:
    """Of several in one document, the one that is running ends, and the rest is not begun."""
    request = await asks(TWO_UPDATES)
    await asyncio.wait_for(mutation.begun.wait(), SOON)
    await request.go_away()
    await request.interrupted()
    mutation.may_go_on.set()
    await request.ended()
    assert mutation.calls == 1
    assert await bio_of(alice) == "One"


async def test_who_waits_gets_both(asks: Asks, alice: User, mutation: Waiting) -> None:
    mutation.may_go_on.set()
    request = await asks(TWO_UPDATES)
    assert (await request.receive_output(SOON))["status"] == 200  # type: ignore[no-untyped-call]
    body = json.loads((await request.receive_output(SOON))["body"])  # type: ignore[no-untyped-call]
    assert body == {"data": {"one": {"__typename": "Profile"}, "two": {"__typename": "Profile"}}}
    await request.go_away()
    await request.wait(SOON)  # type: ignore[no-untyped-call]
    assert await bio_of(alice) == "Two"


async def test_a_mutation_that_fails(asks: Asks, alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """After its client has gone away: nothing is left behind by that, no task and no warning."""
    begun, may_go_on = asyncio.Event(), asyncio.Event()

    async def fail(*_: Any, **__: Any) -> None:
        begun.set()
        await may_go_on.wait()
        raise RuntimeError("the disk is full")

    monkeypatch.setattr(profiles, "aupdate_profile", fail)
    request = await asks(TWO_UPDATES)
    await asyncio.wait_for(begun.wait(), SOON)
    await request.go_away()
    await request.interrupted()
    may_go_on.set()
    await request.ended()
    assert await bio_of(alice) == ""


# ------------------------------------------------------------------------------------------------------ over a network


class Client(httpx.Client):
    def __init__(self, server: Server, user: User) -> None:
        super().__init__(base_url=server.url, cookies=session_cookies(user), timeout=60)

    def __enter__(self) -> Self:
        super().__enter__()
        self.headers["X-CSRFToken"] = self.get("/graphql/").cookies["csrftoken"]
        return self

    def ask(self, document: str) -> httpx.Response:
        return self.post("/graphql/", json={"query": document})

    def begin(self, document: str) -> HTTPConnection:
        """Sends a request, and leaves it to the caller whether to wait for the answer."""
        sent = HTTPConnection(self.base_url.host, self.base_url.port, timeout=60)
        request = self.build_request("POST", "/graphql/", json={"query": document})
        sent.request("POST", "/graphql/", request.content, dict(request.headers))
        return sent


@contextmanager
def nobody_can_write(user: User) -> Iterator[None]:
    """And with PostgreSQL, nobody can read the number of unread notifications."""
    with transaction.atomic():  # with SQLite, of all writers the only one
        list(Profile.objects.select_for_update().filter(user=user))
        if connection.vendor == "postgresql":
            with connection.cursor() as cursor:
                cursor.execute("LOCK TABLE notifications_inbox IN ACCESS EXCLUSIVE MODE")
        yield


def test_a_mutation_in_a_server(server: Server, alice: User) -> None:
    with Client(server, alice) as client, nobody_can_write(alice):
        sent = client.begin(UPDATE)
        time.sleep(1)
        sent.close()
        time.sleep(0.5)
    until = time.monotonic() + SOON
    while (bio := Profile.objects.get(user=alice).bio) != "Hello" and time.monotonic() < until:
        time.sleep(0.05)
    assert bio == "Hello"
    assert "Traceback" not in server.log.read_text()


def test_connections_come_back(start_server: Callable[..., Server], alice: User) -> None:
    """After thirty that went away, thirty that wait are answered."""
    server = start_server(DATABASE_POOL_SIZE="10")
    with Client(server, alice) as client:
        with nobody_can_write(alice):
            sent = [client.begin(document) for document in (UNREAD_COUNT, UPDATE) * 15]
            time.sleep(1.5)
            for one in sent:
                one.close()
            time.sleep(0.5)
        for _ in range(30):
            answer = client.ask("{ me { email } unreadCount }")
            assert answer.json() == {"data": {"me": {"email": "alice@example.com"}, "unreadCount": 0}}
    assert "Traceback" not in server.log.read_text()
