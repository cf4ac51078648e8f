"""The client that defines `graphql-transport-ws`, npm's `graphql-ws`, against a real Daphne process."""

import asyncio
import json
import socket
from asyncio.subprocess import PIPE
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any, Self

import pytest
from asgiref.sync import sync_to_async

from apps.notifications.kinds import Announcement
from apps.notifications.services import anotify
from tests.clients import session_cookies
from tests.conftest import User
from tests.node import command
from tests.processes import Server
from tests.site.test_daphne import POLL

pytestmark = pytest.mark.node

INBOX_CHANGED = """subscription ($after: Int) {
    inboxChanged(after: $after) { sequence unreadCount notifications { id title } }
}"""
MARK_READ = "mutation ($ids: [ID!]!) { markNotificationsRead(ids: $ids) { ... on InboxUpdate { unreadCount } } }"
SECONDS = 30


class Client:
    """graphql-ws in a process (`tests/node/client.mjs`): does what it is told, and tells what it hears."""

    def __init__(self, server: Server, cookies: dict[str, str], options: dict[str, Any]) -> None:
        cookie = "; ".join(f"{name}={value}" for name, value in cookies.items())
        self._command = command("client.mjs", server.websocket_url, server.url, cookie, json.dumps(options))
        self._unread: defaultdict[str, deque[tuple[str, Any]]] = defaultdict(deque)
        self._news = asyncio.Condition()
        self._ended = False
        self.heard: list[tuple[str, str, Any]] = []

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(*self._command, stdin=PIPE, stdout=PIPE)
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        try:
            async with asyncio.timeout(SECONDS):
                await self._reading
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
            raise

    async def _read(self) -> None:
        assert self._process.stdout
        async for line in self._process.stdout:
            message = json.loads(line)
            async with self._news:
                self.heard.append((message["from"], message["what"], message["value"]))
                self._unread[message["from"]].append((message["what"], message["value"]))
                self._news.notify_all()
        async with self._news:
            self._ended = True
            self._news.notify_all()

    async def tell(self, order: str, name: str, **details: Any) -> None:
        assert self._process.stdin
        self._process.stdin.write(json.dumps({"order": order, "name": name, **details}).encode() + b"\n")
        await self._process.stdin.drain()

    async def hear(self, name: str) -> tuple[str, Any]:
        """What is told next of the operation with that name, or of the `client` and its connection."""
        try:
            async with asyncio.timeout(SECONDS), self._news:
                await self._news.wait_for(lambda: self._unread[name] or self._ended)
                return self._unread[name].popleft()
        except (TimeoutError, IndexError):
            transcript = "\n".join(map(str, self.heard))
            pytest.fail(f"Nothing more from {name!r}. What was heard:\n{transcript}")

    async def next(self, name: str) -> Any:
        """The data of the operation's next result."""
        what, result = await self.hear(name)
        assert what == "next", (what, result)
        assert "errors" not in result, result
        return result["data"]

    async def follow(self, name: str) -> None:
        """Iterates over the changes of the inbox, from now on."""
        await self.tell("iterate", name, query=INBOX_CHANGED)
        await self.next(name)

    async def titles(self, name: str) -> list[str]:
        return [one["title"] for one in (await self.next(name))["inboxChanged"]["notifications"]]

    async def ask(self, name: str, query: str, **payload: Any) -> Any:
        """The data of an operation with one result."""
        await self.tell("subscribe", name, query=query, **payload)
        data = await self.next(name)
        assert await self.hear(name) == ("complete", None)
        return data


type Connect = Callable[..., Awaitable[Client]]


@pytest.fixture
async def connect(transactional_db: None) -> AsyncIterator[Connect]:
    """`await connect(server, alice, keepAlive=100)` is Alice's client, with these options of graphql-ws."""
    async with AsyncExitStack() as stack:

        async def enter(server: Server, user: User | None, **options: Any) -> Client:
            cookies = await sync_to_async(session_cookies)(user) if user else {}
            return await stack.enter_async_context(Client(server, cookies, options))

        yield enter


@pytest.fixture
def server(start_server: Callable[..., Server]) -> Server:
    return start_server(NOTIFICATIONS_POLL_SECONDS=POLL)


async def test_it_works(connect: Connect, server: Server, alice: User) -> None:
    client = await connect(server, alice)
    await client.tell("iterate", "inbox", query=INBOX_CHANGED)
    assert await client.next("inbox") == {"inboxChanged": {"sequence": 0, "unreadCount": 0, "notifications": []}}
    for number, title in enumerate(["this", "the next"], start=1):
        await anotify([alice], Announcement(title))
        change = (await client.next("inbox"))["inboxChanged"]
        assert (change["sequence"], change["unreadCount"]) == (number, number)
        assert [one["title"] for one in change["notifications"]] == [title]


async def test_queries_and_mutations(connect: Connect, server: Server, alice: User) -> None:
    client = await connect(server, alice)
    await client.follow("inbox")
    await anotify([alice], Announcement("Hello"))
    [notification] = (await client.next("inbox"))["inboxChanged"]["notifications"]

    document = "query Number { unreadCount } query Name { me { email } }"
    assert await client.ask("query", document, operationName="Name") == {"me": {"email": alice.email}}

    data = await client.ask("mutation", MARK_READ, variables={"ids": [notification["id"]]})
    assert data == {"markNotificationsRead": {"unreadCount": 0}}
    assert (await client.next("inbox"))["inboxChanged"]["unreadCount"] == 0


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({"query": "{ unreadCount"}, "GRAPHQL_PARSE_FAILED"),
        ({"query": ""}, "GRAPHQL_PARSE_FAILED"),
        ({"query": "{ nothing }"}, "GRAPHQL_VALIDATION_FAILED"),
        ({"query": "subscription { nothing }"}, "GRAPHQL_VALIDATION_FAILED"),
        ({"query": "query One { unreadCount }", "operationName": "Another"}, "OPERATION_RESOLUTION_FAILURE"),
        ({"query": "query One { unreadCount } query Two { unreadCount }"}, "OPERATION_RESOLUTION_FAILURE"),
    ],
    ids=["half", "empty", "no such field", "no such subscription", "no such operation", "one of two"],
)
async def test_a_refused_document_ends_nothing_else(
    payload: dict[str, str], code: str, connect: Connect, server: Server, alice: User
) -> None:
    client = await connect(server, alice)
    await client.follow("inbox")
    assert await client.hear("client") == ("connected", False)

    await client.tell("subscribe", "refused", **payload)
    what, errors = await client.hear("refused")
    assert what == "error"
    assert isinstance(errors, list), errors
    assert [error["extensions"]["code"] for error in errors] == [code]

    await anotify([alice], Announcement("Hello"))
    assert await client.titles("inbox") == ["Hello"]
    assert await client.ask("query", "{ unreadCount }") == {"unreadCount": 1}
    assert [one for one in client.heard if one[0] == "client"] == [("client", "connected", False)]


async def test_ending_one_operation_ends_no_other(connect: Connect, server: Server, alice: User) -> None:
    client = await connect(server, alice)
    for name in ("ended", "other"):
        await client.follow(name)
    await client.tell("stop", "ended")
    assert await client.hear("ended") == ("complete", None)
    for title in ("this", "the next"):
        await client.ask(title, "{ unreadCount }")  # until the server has read what was sent before
        await anotify([alice], Announcement(title))
        assert await client.titles("other") == [title]
    assert client.heard.count(("wire", "next", "other")) == 3
    assert client.heard.count(("wire", "next", "ended")) == 1


async def test_pings_are_answered(connect: Connect, server: Server, alice: User) -> None:
    client = await connect(server, alice, keepAlive=50)
    await client.follow("inbox")
    for _ in range(3):
        assert await client.hear("keep-alive") == ("pong", None)
    await anotify([alice], Announcement("Hello"))
    assert await client.titles("inbox") == ["Hello"]


async def test_a_visitor_is_not_let_in(connect: Connect, server: Server) -> None:
    client = await connect(server, None, retryAttempts=1)  # it tries again, for a visitor may have signed in
    await client.tell("subscribe", "inbox", query=INBOX_CHANGED)
    assert await client.hear("inbox") == ("error", 4403)
    assert client.heard == [("client", "closed", 4403)] * 2 + [("inbox", "error", 4403)]


async def test_many_clients_at_once(connect: Connect, server: Server, alice: User, bob: User) -> None:
    clients = [await connect(server, user) for user in (alice, alice, bob)]
    for client in clients:
        await client.follow("inbox")
    await anotify([alice], Announcement("for Alice"))
    await anotify([bob], Announcement("for Bob"))
    assert [await client.titles("inbox") for client in clients] == [["for Alice"], ["for Alice"], ["for Bob"]]


@pytest.fixture
def port() -> Iterator[str]:
    """A port at which nobody listens, and that nobody takes but who asks for it. (Linux lets two have one address as
    long as only one listens.)
    """
    with socket.socket() as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind(("127.0.0.1", 0))
        yield str(reserved.getsockname()[1])


async def test_a_restart_loses_nothing(
    connect: Connect, start_server: Callable[..., Server], alice: User, port: str
) -> None:
    async def start() -> Server:
        return await sync_to_async(start_server)(PORT=port, NOTIFICATIONS_POLL_SECONDS=POLL)

    server = await start()
    client = await connect(server, alice, retryAttempts=1_000, keepAlive=10_000)
    await client.follow("inbox")
    await anotify([alice], Announcement("before"))
    assert await client.titles("inbox") == ["before"]
    assert await client.hear("client") == ("connected", False)

    for missed in (["one", "two", "three"], ["four"]):
        await asyncio.to_thread(server.stop)
        assert await client.hear("client") == ("closed", 4503)
        for title in missed:
            await anotify([alice], Announcement(title))
        server = await start()
        assert await client.titles("inbox") == missed
        while (told := await client.hear("client"))[0] == "closed":  # each try while nobody listened
            pass
        assert told == ("connected", True)

    await anotify([alice], Announcement("after"))
    assert await client.titles("inbox") == ["after"]
    assert "error" not in {what for origin, what, _ in client.heard if origin == "inbox"}
