"""https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md, message by message.

Whatever a client sends is answered, ignored, or the end of the socket, and afterwards the socket is either of use or
gone. The tables say it turn by turn: what the client sends, and what comes of it.
"""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from channels.db import database_sync_to_async
from strawberry.relay import to_base64

from apps.errors import Refusal
from apps.notifications import changes, delivery, schema, services
from apps.notifications.changes import InboxChange
from apps.notifications.kinds import Announcement
from apps.notifications.services import anotify
from config.asgi import application
from config.graphql import flow, websocket
from tests.clients import SUBPROTOCOL, Socket, session_cookies
from tests.conftest import User

type Message = dict[str, Any]
type Sent = Message | str | bytes
type Heard = Message | int
type Turn = tuple[Sent | list[Any], Heard | list[Any]]
"""What the client sends, as JSON, text or bytes; and the messages that come, or the code with which it is closed."""

EMAIL = "alice@example.com"
ME = {"me": {"email": EMAIL}}
START = {"inboxChanged": {"sequence": 0}}
QUERY = "{ me { email } }"
SUBSCRIPTION = "subscription { inboxChanged { sequence } }"
MUTATION = "mutation { markAllNotificationsRead(upTo: 0) { ... on InboxUpdate { unreadCount } } }"
PARSE, VALIDATION, RESOLUTION = "GRAPHQL_PARSE_FAILED", "GRAPHQL_VALIDATION_FAILED", "OPERATION_RESOLUTION_FAILURE"

INIT: Message = {"type": "connection_init"}
ACK: Message = {"type": "connection_ack"}
PING: Message = {"type": "ping"}
PONG: Message = {"type": "pong"}
NOTHING: list[Any] = []


def subscribe(query: str = QUERY, /, id: str = "1", **more: Any) -> Message:
    return {"id": id, "type": "subscribe", "payload": {"query": query, **more}}


def complete(id: str = "1") -> Message:
    return {"id": id, "type": "complete"}


def result(data: Any, id: str = "1", **errors: list[str]) -> Message:
    return {"id": id, "type": "next", "payload": {"data": data, **errors}}


def error(*codes: str, id: str = "1") -> Message:
    """Of each error that is sent, the tables have the code only."""
    return {"id": id, "type": "error", "payload": list(codes)}


def padded(message: Message, size: int) -> str:
    """The message in so many bytes."""
    text = json.dumps(message, ensure_ascii=False)
    return text + " " * (size - len(text.encode()))


def aliases(count: int) -> str:
    return "".join(f"a{number}: unreadCount " for number in range(count))


def answer(id: str = "1") -> list[Message]:
    """Of `QUERY`."""
    return [result(ME, id), complete(id)]


def ask(*turns: Turn) -> tuple[Turn, ...]:
    return ((INIT, ACK), *turns)


NAMED = "query A { me { email } } query B { unreadCount }"
NUMBERED = "query ($first: Int) { notifications(first: $first) { sequence } }"
NUMBERS = {"notifications": {"sequence": 0}}

INITIALISATION: dict[str, tuple[Turn, ...]] = {
    "without a payload": ((INIT, ACK),),
    "with a payload": ((INIT | {"payload": {"token": "x"}}, ACK),),
    "with an empty payload": ((INIT | {"payload": {}}, ACK),),
    "with null for a payload": ((INIT | {"payload": None}, ACK),),
    "with more than is known": ((INIT | {"id": 7, "extensions": []}, ACK),),
    "payload: a list": ((INIT | {"payload": []}, 4400),),
    "payload: text": ((INIT | {"payload": "token"}, 4400),),
    "payload: a number": ((INIT | {"payload": 0}, 4400),),
    "payload: false": ((INIT | {"payload": False}, 4400),),
    "twice": ((INIT, ACK), (INIT, 4429)),
    "twice at once": (([INIT, INIT], [ACK, 4429]),),
    "twice, with an operation under way": ask((subscribe(SUBSCRIPTION), result(START)), (INIT, 4429)),
    "subscribe before it": ((subscribe(), 4401),),
    "a subscribe before it that could not be read": (({"id": "1", "type": "subscribe"}, 4401),),
    "complete before it": ((complete(), NOTHING), (INIT, ACK)),
}

SIGNS_OF_LIFE: dict[str, tuple[Turn, ...]] = {
    "ping": ask((PING, PONG)),
    "ping before init": ((PING, PONG), (INIT, ACK), (PING, PONG)),
    "ping with a payload": ask((PING | {"payload": {"at": [1, None]}}, PONG | {"payload": {"at": [1, None]}})),
    "ping with half a character": ask((PING | {"payload": {"\ud800": 1}}, PONG | {"payload": {"\ud800": 1}})),
    "ping with a payload before init": ((PING | {"payload": {"at": 1}}, PONG | {"payload": {"at": 1}}),),
    "ping with an empty payload": ask((PING | {"payload": {}}, PONG)),
    "ping with null for a payload": ask((PING | {"payload": None}, PONG)),
    "ping: a list for a payload": ask((PING | {"payload": [1]}, 4400)),
    "ping: text for a payload": ((PING | {"payload": "now"}, 4400),),
    "as large as can be": ask((padded(PING, websocket.MAX_MESSAGE), PONG)),
    "as large as can be, in bytes": ask(
        (padded(PONG | {"payload": {"at": "é" * 30_000}}, websocket.MAX_MESSAGE), NOTHING)
    ),
    "many pings": ask(([PING] * 100, [PONG] * 100)),
    "a pong that nobody asked for": ask((PONG, NOTHING)),
    "a pong that nobody asked for, before init": ((PONG, NOTHING), (INIT, ACK)),
    "pong with a payload": ask((PONG | {"payload": {"at": 1}}, NOTHING)),
    "pong with null for a payload": ask((PONG | {"payload": None}, NOTHING)),
    "pong: text for a payload": ask((PONG | {"payload": "now"}, 4400)),
}

OPERATIONS: dict[str, tuple[Turn, ...]] = {
    "query": ask((subscribe(), answer())),
    "mutation": ask((subscribe(MUTATION), [result({"markAllNotificationsRead": {"unreadCount": 0}}), complete()])),
    "subscription": ask((subscribe(SUBSCRIPTION), result(START))),
    "subscription that is refused": ask(
        (
            subscribe("subscription { inboxChanged(after: 9) { sequence } }"),
            [result(None, errors=["BAD_CURSOR"]), complete()],
        )
    ),
    "everything null": ask((subscribe(variables=None, operationName=None, extensions=None), answer())),
    "everything empty": ask((subscribe(variables={}, extensions={}), answer())),
    "extensions that nobody knows": ask((subscribe(extensions={"persistedQuery": {"version": 1}}), answer())),
    "more than is known": ask((subscribe(doc_id=[], id="1") | {"extensions": 1}, answer())),
    "with variables": ask((subscribe(NUMBERED, variables={"first": 5}), [result(NUMBERS), complete()])),
    "with variables that nobody asked for": ask((subscribe(variables={"first": {"x": []}}), answer())),
    "with a name": ask((subscribe(NAMED, operationName="A"), answer())),
    "with the other name": ask((subscribe(NAMED, operationName="B"), [result({"unreadCount": 0}), complete()])),
    "two at once": ask(
        (subscribe(SUBSCRIPTION, id="live"), result(START, "live")),
        (subscribe(id="one"), answer("one")),
    ),
    "an odd id": ask((subscribe(id="\ud800 \0 {}"), answer("\ud800 \0 {}"))),
    "an error on the way": ask(
        (
            subscribe('{ me { email } node(id: "x") { id } }'),
            [result(ME | {"node": None}, errors=["BAD_USER_INPUT"]), complete()],
        )
    ),
    "`id` again after complete": ask(*[(subscribe(), answer())] * 3),
    "`id` again after error": ask((subscribe("{"), error(PARSE)), (subscribe(), answer())),
    "`id` again after the client's complete": ask(
        (subscribe(SUBSCRIPTION), result(START)),
        (complete(), NOTHING),
        (subscribe(SUBSCRIPTION), result(START)),
        (complete(), NOTHING),
        (subscribe(), answer()),
    ),
    "`id` again at once": ask(
        (subscribe(SUBSCRIPTION), result(START)), ([complete(), subscribe(SUBSCRIPTION)], result(START))
    ),
    "completed before it began": ask(([subscribe(), complete()], NOTHING), (subscribe(id="2"), answer("2"))),
    "complete for an unknown id": ask((complete("?"), NOTHING)),
    "complete after the server's": ask((subscribe(), answer()), (complete(), NOTHING)),
    "complete twice": ask((subscribe(SUBSCRIPTION), result(START)), ([complete(), complete()], NOTHING)),
    "complete with more than is known": ask((complete() | {"payload": 1}, NOTHING)),
}

TAKEN: dict[str, tuple[Turn, ...]] = {
    "by a subscription": ask((subscribe(SUBSCRIPTION), result(START)), (subscribe(), 4409)),
    "by the same subscription": ask((subscribe(SUBSCRIPTION), result(START)), (subscribe(SUBSCRIPTION), 4409)),
    "by a query": ask(([subscribe(), subscribe()], 4409)),
    "by a mutation": ask(([subscribe(MUTATION), subscribe()], 4409)),
    "by what will be refused": ask(([subscribe("{"), subscribe()], 4409)),
    "with a payload that can't be read": ask(
        (subscribe(SUBSCRIPTION), result(START)), ({"id": "1", "type": "subscribe"}, 4409)
    ),
    "and the id is long": ask(([subscribe(id="x" * 5_000)] * 2, 4409)),
    "and the id is long in bytes": ask(([subscribe(id="🔔" * 64)] * 2, 4409)),
    "and the id is half a character": ask(([subscribe(id="\ud800")] * 2, 4409)),
    "and the id breaks the line": ask(([subscribe(id="a\r\n\0b")] * 2, 4409)),
}

REFUSED_OPERATIONS: dict[str, tuple[str | Message, list[str]]] = {
    "no document": ("", [PARSE]),
    "nothing but white space": (" \n", [PARSE]),
    "nothing but a comment": ("# hello", [PARSE]),
    "a syntax error": ("{ me {", [PARSE]),
    "half a character": ("{ me \ud800 }", [PARSE]),
    "an unknown field": ("{ nothing }", [VALIDATION]),
    "two unknown fields": ("{ nothing nowhere }", [VALIDATION, VALIDATION]),
    "an unknown argument": ("{ unreadCount(of: 1) }", [VALIDATION]),
    "an argument of the wrong type": ('{ notifications(first: "x") { sequence } }', [VALIDATION]),
    "an unknown variable": ("{ notifications(first: $first) { sequence } }", [VALIDATION]),
    "no operation": ("fragment A on User { email }", [RESOLUTION]),
    "a subscription to two fields": (
        "subscription { a: inboxChanged { sequence } b: inboxChanged { sequence } }",
        [VALIDATION],
    ),
    "the schema": ("{ __schema { types { name } } }", [VALIDATION, VALIDATION]),
    "a type": ('{ __type(name: "User") { name } }', [VALIDATION]),
    "two operations without a name": (NAMED, [RESOLUTION]),
    "an unknown name": (subscribe(NAMED, operationName="C"), [RESOLUTION]),
    "an empty name": (subscribe(NAMED, operationName=""), [RESOLUTION]),
    "a variable of the wrong type": (subscribe(NUMBERED, variables={"first": "x"}), ["BAD_USER_INPUT"]),
    "a variable that is missing": (
        subscribe("query ($id: ID!) { node(id: $id) { id } }", variables={}),
        ["BAD_USER_INPUT"],
    ),
    "too many aliases": ("{" + aliases(21) + "}", ["TOO_COMPLEX"]),
    "too many tokens": ("{" + "me " * 2_001 + "}", ["TOO_COMPLEX"]),
    "too deep": ("{ me " * 13 + "}" * 13, ["TOO_COMPLEX"]),
    "much too deep": ("{a" * 20_000, ["TOO_COMPLEX"]),
}
"""What the client asks for, and the codes of the errors with which it is refused."""

UNREADABLE: dict[str, Sent] = {
    "subscribe without id": {"type": "subscribe", "payload": {"query": QUERY}},
    "subscribe, id: null": subscribe() | {"id": None},
    "subscribe, id: a number": subscribe() | {"id": 1},
    "subscribe, id: a list": subscribe() | {"id": ["1"]},
    "subscribe, id: empty": subscribe(id=""),
    "subscribe without payload": {"id": "1", "type": "subscribe"},
    "subscribe, payload: null": {"id": "1", "type": "subscribe", "payload": None},
    "subscribe, payload: text": {"id": "1", "type": "subscribe", "payload": QUERY},
    "subscribe, payload: a list": {"id": "1", "type": "subscribe", "payload": [{"query": QUERY}]},
    "subscribe, payload: empty": {"id": "1", "type": "subscribe", "payload": {}},
    "query: null": {"id": "1", "type": "subscribe", "payload": {"query": None}},
    "query: a number": {"id": "1", "type": "subscribe", "payload": {"query": 1}},
    "query: an object": {"id": "1", "type": "subscribe", "payload": {"query": {}}},
    "variables: a list": subscribe(variables=[]),
    "variables: text": subscribe(variables="{}"),
    "variables: false": subscribe(variables=False),
    "operationName: a number": subscribe(operationName=1),
    "operationName: an object": subscribe(operationName={}),
    "extensions: text": subscribe(extensions="{}"),
    "extensions: a list": subscribe(extensions=[]),
    "complete without id": {"type": "complete"},
    "complete, id: a number": {"id": 1, "type": "complete"},
    "complete, id: empty": complete(""),
    "next": result(ME),
    "error": {"id": "1", "type": "error", "payload": []},
    "connection_ack": ACK,
    "an unknown type": {"type": "hello"},
    "a type of the legacy protocol": {"id": "1", "type": "start", "payload": {"query": QUERY}},
    "a type in capitals": {"type": "PING"},
    "type: null": {"type": None},
    "type: a number": {"type": 1},
    "type: a list": {"type": ["ping"]},
    "no type": {"id": "1", "payload": {"query": QUERY}},
    "an empty object": {},
    "a list": "[]",
    "a list of messages": json.dumps([PING]),
    "null": "null",
    "text": '"ping"',
    "a number": "1",
    "true": "true",
    "no JSON": "ping",
    "half of a message": '{"type": "ping"',
    "a message and more": '{"type": "ping"} {"type": "ping"}',
    "empty": "",
    "white space": " ",
    "a byte order mark": '\ufeff{"type": "ping"}',
    "NaN": '{"type": "ping", "payload": {"at": NaN}}',
    "Infinity": '{"type": "ping", "payload": {"at": -Infinity}}',
    "a number without end": '{"type": "ping", "payload": {"at": 1e999}}',
    "a number of 5,000 digits": '{"type": "ping", "payload": {"at": ' + "9" * 5_000 + "}}",
    "a key twice": '{"type": "ping", "type": "ping"}',
    "a key twice, deep": '{"type": "ping", "payload": {"at": [{"x": 1, "x": 1}]}}',
    "deep and without end": "[" * 60_000,
    "too large": padded(PING, websocket.MAX_MESSAGE + 1),
    "too large in bytes": json.dumps(PING | {"payload": {"at": "é" * 33_000}}, ensure_ascii=False),
    "too large, and a subscription": padded(subscribe(SUBSCRIPTION), websocket.MAX_MESSAGE + 1),
    "much too large": padded(PING, 1024 * 1024),
    "bytes": json.dumps(PING).encode(),
    "bytes that are no text": b"\xff\x00",
    "no bytes": b"",
}
"""Each is 4400, at any time."""

TABLE: dict[str, tuple[Turn, ...]] = {
    **{f"connection_init {name}": turns for name, turns in INITIALISATION.items()},
    **SIGNS_OF_LIFE,
    **OPERATIONS,
    **{f"an id is taken {name}": turns for name, turns in TAKEN.items()},
    **{
        f"refused: {name}": ask(
            (subscribe(SUBSCRIPTION, id="live"), result(START, "live")),
            (subscribe(what) if isinstance(what, str) else what, error(*codes)),
            (subscribe(), answer()),
        )
        for name, (what, codes) in REFUSED_OPERATIONS.items()
    },
    **{f"unreadable: {name}": ask((what, 4400)) for name, what in UNREADABLE.items()},
}


class Client(Socket):
    """Says anything at all, and hears the code when it is closed."""

    def __init__(self, cookies: dict[str, str], subprotocols: Sequence[str], send_waits: bool) -> None:
        super().__init__(cookies)
        self.scope["subprotocols"] = list(subprotocols)
        self.application = self._serve
        self._send_waits = send_waits
        self._application_waits = False

    async def _serve(self, scope: Message, receive: Any, send: Any) -> None:
        """As Daphne, whose `send` returns at once; or as Uvicorn, whose doesn't, and which names what is not there."""

        async def slow_send(message: Message) -> None:
            await asyncio.sleep(0)
            await send(message)
            await asyncio.sleep(0)

        async def watched_receive() -> Message:
            self._application_waits = True
            message: Message = await receive()
            self._application_waits = False
            missing = {"text": None, "bytes": None} if message["type"] == "websocket.receive" else {}
            return missing | message if self._send_waits else message

        await application(scope, watched_receive, slow_send if self._send_waits else send)  # type: ignore[arg-type]

    async def say(self, *frames: Sent) -> None:
        for frame in frames:
            sent: Message = {"bytes": frame} if isinstance(frame, bytes) else {}
            sent |= {"text": json.dumps(frame)} if isinstance(frame, dict) else {}
            sent |= {"text": frame} if isinstance(frame, str) else {}
            await self.send_input({"type": "websocket.receive"} | sent)

    async def hear(self) -> Heard:
        output = await self.receive_output()
        if output["type"] == "websocket.close":
            assert 0 < len(output["reason"].encode()) <= 123
            return int(output["code"])
        message = json.loads(output["text"], parse_constant=pytest.fail)
        assert set(output) == {"type", "text"}
        if message["type"] == "error":
            message["payload"] = [one["extensions"]["code"] for one in message["payload"]]
        if message["type"] == "next" and "errors" in message["payload"]:
            message["payload"]["errors"] = [one["extensions"]["code"] for one in message["payload"]["errors"]]
        return message

    async def turn(self, frames: Sent | list[Any], expected: Heard | list[Any]) -> None:
        await self.say(*(frames if isinstance(frames, list) else [frames]))
        for one in expected if isinstance(expected, list) else [expected]:
            assert await self.hear() == one
            if isinstance(one, int):
                await self.is_gone()
        await self.has_read()

    async def is_of_use(self) -> None:
        """Whatever has come before has been heard."""
        await self.turn(PING, PONG)

    async def has_read(self) -> None:
        """The application waits for the next message."""
        async with asyncio.timeout(10):
            while not self.future.done() and not (self._application_waits and self.input_queue.empty()):
                await asyncio.sleep(0)

    async def is_gone(self) -> None:
        """The application has ended by itself, and said nothing after the close."""
        await asyncio.wait([self.future], timeout=10)
        assert self.future.done()
        self.future.result()
        assert self.output_queue.empty()

    async def leave(self) -> None:
        """As when the network is cut."""
        await self.send_input({"type": "websocket.disconnect", "code": 1006})


type ClientFor = Callable[..., Awaitable[Client]]


@pytest.fixture(params=[False, True], ids=["daphne", "uvicorn"])
async def connect(request: pytest.FixtureRequest, transactional_db: None) -> AsyncIterator[ClientFor]:
    """`await connect(alice)` is Alice's WebSocket, not initialised yet."""
    clients = []

    async def enter(user: User | None, subprotocols: Sequence[str] = (SUBPROTOCOL,)) -> Client:
        cookies = await sync_to_async(session_cookies)(user) if user else {}
        client = Client(cookies, subprotocols, send_waits=request.param)
        clients.append(client)
        assert await client.connect() == (True, SUBPROTOCOL if SUBPROTOCOL in subprotocols else None)
        await client.has_read()
        return client

    yield enter
    for client in clients:
        if not client.future.done():
            await client.disconnect(timeout=10)


@pytest.fixture
async def client(connect: ClientFor, alice: User) -> Client:
    """Alice's, initialised."""
    client = await connect(alice)
    await client.turn(INIT, ACK)
    return client


async def test_it_works(connect: ClientFor, alice: User) -> None:
    client = await connect(alice)
    for turn in ask((PING, PONG), (subscribe(), answer()), (subscribe(SUBSCRIPTION), result(START)), (complete(), [])):
        await client.turn(*turn)
    await client.is_of_use()
    await client.leave()
    await client.is_gone()


@pytest.mark.parametrize("turns", TABLE.values(), ids=TABLE)
async def test_the_protocol(connect: ClientFor, alice: User, turns: tuple[Turn, ...]) -> None:
    client = await connect(alice)
    for turn in turns:
        await client.turn(*turn)
    if not client.future.done():
        await client.is_of_use()


@pytest.mark.parametrize("what", ["[" * 15_000 + "]" * 15_000, '{"a":' * 4_000 + "1" + "}" * 4_000], ids=["[", "{"])
async def test_as_deep_as_can_be_read(client: Client, what: str) -> None:
    """How deep that is depends on Python."""
    message = '{"type": "ping", "payload": {"at": ' + what + "}}"
    await client.say(message)
    if await client.hear() != 4400:
        await client.leave()
    await client.is_gone()


# ------------------------------------------------------------------------------------------------- how a socket opens


@pytest.mark.parametrize(
    "subprotocols", [[], ["graphql-ws"], ["GRAPHQL-TRANSPORT-WS"], ["graphql-transport-ws2", "soap"]]
)
async def test_no_subprotocol_of_ours(connect: ClientFor, alice: User, subprotocols: list[str]) -> None:
    client = await connect(alice, subprotocols)
    await client.turn([INIT, subscribe()], 4406)


async def test_our_subprotocol_among_others(connect: ClientFor, alice: User) -> None:
    client = await connect(alice, ["graphql-ws", SUBPROTOCOL, "soap"])
    await client.turn(INIT, ACK)


@pytest.mark.parametrize(
    "turns",
    [
        [(PING, PONG), (INIT, 4403)],
        [([INIT, subscribe()], 4403)],
        [(INIT | {"payload": {"token": "x"}}, 4403)],
        [(subscribe(), 4401)],
        [("{", 4400)],
    ],
)
async def test_a_visitor(connect: ClientFor, transactional_db: None, turns: list[Turn]) -> None:
    client = await connect(None)
    for turn in turns:
        await client.turn(*turn)


class Clock:
    """A socket's, in place of the event loop's: time passes when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0
        self._timers: list[tuple[float, asyncio.Handle]] = []

    def call_later(self, seconds: float, call: Callable[..., object], *arguments: object) -> asyncio.Handle:
        handle = asyncio.Handle(call, arguments, asyncio.get_running_loop())
        self._timers.append((self.now + seconds, handle))
        return handle

    def go_on(self, seconds: float) -> None:
        until = self.now + seconds
        while due := [timer for timer in self._timers if timer[0] <= until]:
            timer = min(due, key=lambda one: one[0])
            self._timers.remove(timer)
            self.now, handle = timer
            if not handle.cancelled():
                handle._run()
        self.now = until


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()

    class ClockedSocket(websocket.Socket):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            self._clock = clock  # type: ignore[assignment]

    monkeypatch.setattr(websocket, "Socket", ClockedSocket)
    return clock


async def test_who_does_not_initialise_is_closed(
    connect: ClientFor, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "INIT_SECONDS", 0.01)
    clients = [await connect(alice), await connect(None)]
    for client in clients:
        await client.turn([], 4408)


async def test_signs_of_life_do_not_replace_it(clock: Clock, connect: ClientFor, alice: User) -> None:
    client = await connect(alice)
    clock.go_on(websocket.INIT_SECONDS - 1)
    await client.turn([PONG, PING], PONG)
    clock.go_on(1)
    await client.turn([], 4408)


async def test_who_initialises_in_time_may_take_time(clock: Clock, connect: ClientFor, alice: User) -> None:
    client = await connect(alice)
    clock.go_on(websocket.INIT_SECONDS - 1)
    await client.turn(INIT, ACK)
    clock.go_on(websocket.INIT_SECONDS)
    await client.turn(subscribe(), answer())


# --------------------------------------------------------------------------------------------------------- keep-alive


async def test_who_is_silent_is_asked_and_closed(clock: Clock, client: Client) -> None:
    await client.turn(subscribe(SUBSCRIPTION), result(START))
    clock.go_on(2 * websocket.QUIET_SECONDS)
    await client.turn([], PING)
    clock.go_on(websocket.QUIET_SECONDS)
    await client.turn([], 4408)


async def test_who_was_never_asked_anything_is_too(clock: Clock, client: Client) -> None:
    clock.go_on(3 * websocket.QUIET_SECONDS)
    await client.turn([], [PING, 4408])


async def test_who_answers_stays(clock: Clock, client: Client) -> None:
    for _ in range(5):
        await client.is_of_use()
        clock.go_on(2 * websocket.QUIET_SECONDS)
        await client.turn([], PING)
        await client.say(PONG)


@pytest.mark.parametrize("turn", [(PING, PONG), (complete(), NOTHING), (subscribe(), answer()), (PONG, NOTHING)])
async def test_who_says_anything_stays(clock: Clock, client: Client, turn: Turn) -> None:
    for _ in range(5):
        await client.turn(*turn)
        clock.go_on(websocket.QUIET_SECONDS)
    await client.is_of_use()


async def test_nobody_is_asked_after_the_close(clock: Clock, client: Client) -> None:
    await client.say({})
    clock.go_on(2 * websocket.QUIET_SECONDS)
    heard = await client.hear()
    assert (await client.hear() if heard == PING else heard) == 4400
    await client.is_gone()


# ------------------------------------------------------------------------------------------------------------- limits


async def test_twenty_operations_at_once(client: Client, alice: User) -> None:
    for number in range(20):
        await client.turn(subscribe(SUBSCRIPTION, id=f"live {number}"), result(START, f"live {number}"))
    for _ in range(2):
        await client.turn(subscribe(id="one more"), error("RATE_LIMITED", id="one more"))
    await anotify([alice], Announcement("Hello"))
    heard = [await client.hear() for _ in range(20)]
    assert all(result({"inboxChanged": {"sequence": 1}}, f"live {number}") in heard for number in range(20))

    await client.say(complete("live 7"))
    while "there is no room yet":
        await client.say(subscribe(id="one more"))
        if await client.hear() != error("RATE_LIMITED", id="one more"):
            break
    await client.turn([], complete("one more"))


async def test_twenty_sockets_a_user(connect: ClientFor, alice: User, bob: User) -> None:
    clients = [await connect(alice) for _ in range(20)]
    for client in clients[1:]:
        await client.turn(INIT, ACK)
    for _ in range(2):
        await (await connect(alice)).turn([INIT, subscribe()], 4429)
    await (await connect(bob)).turn(INIT, ACK)
    await (await connect(None)).is_of_use()

    await clients[0].leave()
    await clients[0].is_gone()
    await clients[1].turn("{", 4400)

    for _ in range(2):
        await (await connect(alice)).turn(INIT, ACK)
    await (await connect(alice)).turn([], 4429)


@pytest.mark.hostile(0.25)
@pytest.mark.parametrize("message", [PING, PONG, complete()], ids=lambda message: message["type"])
async def test_too_many_messages(client: Client, message: Message) -> None:
    count = websocket.MESSAGES_AT_ONCE + 10 * websocket.MESSAGES_PER_SECOND
    await client.say(*[message] * count)
    heard = [await client.hear()]
    while heard[-1] == PONG:
        heard.append(await client.hear())
    assert heard[-1] == 4429
    await client.is_gone()
    if message == PING:
        assert websocket.MESSAGES_AT_ONCE <= len(heard) < count


async def test_a_pong_that_was_asked_for_is_free(
    clock: Clock, connect: ClientFor, alice: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(websocket, "MESSAGES_AT_ONCE", 1)
    monkeypatch.setattr(websocket, "MESSAGES_PER_SECOND", 0)
    client = await connect(alice)
    await client.turn(INIT, ACK)
    for periods in (2, 2, 2):
        clock.go_on(periods * websocket.QUIET_SECONDS)
        await client.turn([], PING)
        await client.say(PONG)
        await client.has_read()
    await client.turn(PONG, 4429)


# ------------------------------------------------------------------------------------------- a client that reads slowly

LARGE = "{ inbox(after: 0) { notifications { body } } }"
TWICE = "{ a: inbox(after: 0) { notifications { body } } b: inbox(after: 0) { notifications { body } } }"


@pytest.fixture
async def large(alice: User) -> Message:
    """The answer to `LARGE`: more than half of what may be on its way to a client, and less than all."""
    await anotify([alice], Announcement("Hello", body="x" * (flow.WINDOW * 5 // 8)))
    return {"notifications": [{"body": "x" * (flow.WINDOW * 5 // 8)}]}


async def test_who_answers_each_ping_hears_everything(client: Client, large: Message) -> None:
    await client.turn(subscribe(LARGE), [result({"inbox": large}), PING, complete()])
    await client.turn(subscribe(TWICE, id="2"), result({"a": large, "b": large}, "2"))
    heard = []
    while complete("2") not in heard:
        await client.say(PONG)
        heard.append(await client.hear())
    assert heard in ([complete("2")], [PING, complete("2")])


async def test_who_does_not_answer_is_closed(client: Client, large: Message, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flow, "PATIENCE_SECONDS", 0.01)
    await client.turn(subscribe(TWICE), [result({"a": large, "b": large}), PING, 4408])


async def test_who_does_not_answer_is_closed_with_all_its_operations(
    client: Client, large: Message, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "PATIENCE_SECONDS", 0.01)
    await client.turn(subscribe(LARGE), [result({"inbox": large}), PING, complete()])
    await client.say(subscribe(SUBSCRIPTION, id="live"), *[subscribe(TWICE, id=str(number)) for number in range(9)])
    heard = [await client.hear()]
    while not isinstance(heard[-1], int):
        heard.append(await client.hear())
    assert heard[-1] == 4408
    await client.is_gone()


async def test_who_does_not_answer_is_closed_with_the_subscription(
    client: Client, alice: User, large: Message, monkeypatch: pytest.MonkeyPatch
) -> None:
    await client.turn(
        subscribe("subscription { inboxChanged { notifications { body } } }"),
        result({"inboxChanged": {"notifications": []}}),
    )
    for heard in ([result({"inboxChanged": large}), PING], [result({"inboxChanged": large})]):
        await anotify([alice], Announcement("Hello", body=large["notifications"][0]["body"]))
        await client.turn([], heard)
    monkeypatch.setattr(flow, "PATIENCE_SECONDS", 0.01)
    await anotify([alice], Announcement("Hello"))
    await client.turn([], 4408)


@pytest.mark.parametrize("leaves", [True, False])
async def test_what_waits_for_room_does_not_outlive_the_socket(client: Client, large: Message, leaves: bool) -> None:
    await client.turn([subscribe(TWICE)], [result({"a": large, "b": large}), PING])
    await client.say(subscribe(id="2"), subscribe("{", id="3"))
    await client.is_of_use()
    if leaves:
        await client.leave()
        await client.is_gone()
    else:
        await client.turn("{", 4400)


async def test_an_id_is_not_free_before_its_last_message_was_sent(client: Client, large: Message) -> None:
    await client.turn(subscribe(TWICE), [result({"a": large, "b": large}), PING])
    await client.turn([complete(), PING], PONG)
    await client.say(subscribe(SUBSCRIPTION), PONG)
    assert await client.hear() == result({"inboxChanged": {"sequence": 1}})
    await client.is_of_use()


# --------------------------------------------------------------------------------------- what goes wrong, and what ends


async def test_an_error_of_ours(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(*_: object) -> None:
        raise ZeroDivisionError("secret")

    monkeypatch.setattr(services, "aunread_count", fails)
    await client.say(subscribe("{ unreadCount }"))
    output = await client.receive_output()
    [one] = json.loads(output["text"])["payload"]["errors"]
    assert one["message"] == "Internal error."
    assert one["extensions"] == {"code": "INTERNAL_ERROR", "reference": one["extensions"]["reference"]}
    await client.turn([], complete())
    await client.turn(subscribe("{ me { email } unreadCount }"), [result(None, errors=["INTERNAL_ERROR"]), complete()])
    await client.turn(subscribe(), answer())


async def test_a_refusal_of_ours(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    class Teapot(Refusal):
        code = "TEAPOT"

    async def refuses(*_: object) -> None:
        raise Teapot("short and stout")

    monkeypatch.setattr(services, "aget_notification", refuses)
    query = "query ($id: ID!) { node(id: $id) { id } me { email } }"
    await client.turn(
        subscribe(query, variables={"id": to_base64("Notification", 1)}),
        [result({"node": None} | ME, errors=["TEAPOT"]), complete()],
    )


async def test_a_subscription_fails_on_the_way(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fails(*arguments: Any) -> AsyncIterator[InboxChange]:
        async with aclosing(delivery.follow(*arguments)) as changes:
            yield await anext(changes)
        raise ZeroDivisionError

    monkeypatch.setattr(schema, "follow", fails)
    await client.turn(subscribe(SUBSCRIPTION), [result(START), result(None, errors=["INTERNAL_ERROR"]), complete()])
    await client.turn(subscribe(), answer())


class Held:
    """A service that goes on when the test says so, and tells how far it came."""

    def __init__(self, result: Any) -> None:
        self._result = result
        self.waiting = 0
        self.begun, self.may_end, self.ended, self.cancelled = (asyncio.Event() for _ in range(4))

    async def __call__(self, *_: object) -> Any:
        self.waiting += 1
        self.begun.set()
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.cancelled.set()
            raise
        self.ended.set()
        return self._result


async def gives_up(client: Client) -> None:
    await client.turn([complete(), PING], PONG)


async def leaves(client: Client) -> None:
    await client.leave()


async def errs(client: Client) -> None:
    await client.say({})
    assert await client.hear() == 4400


ENDS = pytest.mark.parametrize("ends", [gives_up, leaves, errs])


@ENDS
async def test_a_query_is_cancelled(
    client: Client, monkeypatch: pytest.MonkeyPatch, ends: Callable[[Client], Awaitable[None]]
) -> None:
    held = Held(7)
    monkeypatch.setattr(services, "aunread_count", held)
    await client.say(subscribe("{ unreadCount }"))
    await held.begun.wait()
    await ends(client)
    async with asyncio.timeout(10):
        await held.cancelled.wait()
    if ends is gives_up:
        await client.turn(subscribe(), answer())
    else:
        await client.is_gone()
    assert not held.ended.is_set()


@ENDS
async def test_a_mutation_runs_to_its_end(
    client: Client, monkeypatch: pytest.MonkeyPatch, ends: Callable[[Client], Awaitable[None]]
) -> None:
    held = Held(services.InboxUpdate(0, []))
    monkeypatch.setattr(services, "amark_all_read", held)
    await client.say(subscribe(MUTATION))
    await held.begun.wait()
    await ends(client)
    assert not client.future.done()
    held.may_end.set()
    async with asyncio.timeout(10):
        await held.ended.wait()
    assert not held.cancelled.is_set()
    if ends is gives_up:
        await client.turn(subscribe(), answer())
    else:
        await client.is_gone()


@ENDS
async def test_a_mutation_in_a_thread_runs_to_its_end(
    client: Client, alice: User, monkeypatch: pytest.MonkeyPatch, ends: Callable[[Client], Awaitable[None]]
) -> None:
    begun, may_end = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def mark_all_read(user: User, up_to: int) -> services.InboxUpdate:
        loop.call_soon_threadsafe(begun.set)
        assert may_end.wait(20)
        return services.mark_all_read(user, up_to)

    await anotify([alice], Announcement("Hello"))
    monkeypatch.setattr(services, "amark_all_read", database_sync_to_async(mark_all_read))
    await client.say(subscribe(MUTATION.replace("0", "1")))
    await begun.wait()
    try:
        await ends(client)
    finally:
        may_end.set()
    async with asyncio.timeout(10):
        while await services.aunread_count(alice):
            await asyncio.sleep(0)
    if ends is gives_up:
        await client.turn(subscribe("{ unreadCount }"), [result({"unreadCount": 0}), complete()])
    else:
        await client.is_gone()


async def test_a_window_is_all_that_one_gets_who_does_not_answer(
    client: Client, alice: User, large: Message, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(await changes.aread_changes(alice.pk, 0))
    monkeypatch.setattr(changes, "aread_changes", held)
    await client.say(*[subscribe(LARGE, id=str(number)) for number in range(10)])
    async with asyncio.timeout(10):
        while held.waiting < 10:
            await asyncio.sleep(0)
    monkeypatch.setattr(flow, "PATIENCE_SECONDS", 0.1)
    held.may_end.set()  # and all of them have something to say at the same moment
    heard = [await client.hear()]
    while not isinstance(heard[-1], int):
        heard.append(await client.hear())
    assert heard[-1] == 4408
    assert sum(isinstance(one, dict) and one["type"] == "next" for one in heard) == 2


async def test_operations_that_are_ending_count(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    held = Held(services.InboxUpdate(0, []))
    monkeypatch.setattr(services, "amark_all_read", held)
    for _ in range(20):
        held.begun.clear()
        await client.say(subscribe(MUTATION))
        await held.begun.wait()
        await client.turn([complete(), PING], PONG)
    await client.turn(subscribe(), error("RATE_LIMITED"))
    held.may_end.set()
