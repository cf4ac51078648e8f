"""Whatever a client sends, it is answered in the words of the contract, and nothing falls over.

The same operations each time. `FUZZ_SEED=7 FUZZ_TIMES=10` makes ten times as many others.
"""

import asyncio
import json
import logging
import os
import re
from collections import Counter, deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from itertools import count
from typing import Any
from uuid import uuid4

import httpx
import pytest
from asgiref.sync import sync_to_async
from django.utils import timezone
from graphql import OperationType
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.strategies import SearchStrategy
from pytest_django import Settings
from strawberry import relay

from apps.notifications.kinds import Announcement
from apps.notifications.models import Notification
from apps.notifications.retention import purge
from apps.notifications.services import notify, unread_count
from apps.users.models import User
from tests.accounts import totp
from tests.accounts.mailbox import RESET, VERIFY, mailed_key
from tests.clients import SUBPROTOCOL, Api, Socket, session_cookies
from tests.conftest import PASSWORD, make_user
from tests.site.nasty import ROOTS, Operation, Raw, dumps, http_stories, websocket_stories

SEED = int(os.environ.get("FUZZ_SEED", "2026"))
TIMES = int(os.environ.get("FUZZ_TIMES", "1"))
HTTP, WEBSOCKET = 2_000 * TIMES, 500 * TIMES
RUN = 9
"""Stories of which Hypothesis makes each its own. From the tenth on it would rather vary what it has; a search does
well by that, but this wants breadth."""
PATIENCE = 20
"""Seconds until an answer is taken for lost."""

CODES = {
    "UNAUTHENTICATED", "FORBIDDEN", "BAD_USER_INPUT", "BAD_CURSOR", "CURSOR_EXPIRED", "GRAPHQL_PARSE_FAILED",
    "GRAPHQL_VALIDATION_FAILED", "OPERATION_RESOLUTION_FAILURE", "TOO_COMPLEX", "RATE_LIMITED", "TIMEOUT",
}  # fmt: skip
"""The contract's, without `INTERNAL_ERROR`."""
LEAK = re.compile(
    r"Traceback|File \\?\"|, line \d|\b[A-Z][a-z]\w*(Error|Exception|Warning)\b|NoneType|DoesNotExist|object at 0x|"
    r"<class|has no attribute|not subscriptable|not iterable|unhashable|positional argument|keyword argument|to unpack|"
    r"codec can|surrogates not|invalid literal|isoformat string|recursion|Exceeds the limit|base64|'str'|'int'|'dict'|"
    r"SELECT |INSERT |UPDATE |constraint|relation \"|sqlite|psycopg|postgres|redis|django|allauth|strawberry|python|"
    r"graphql.core|site-packages|Did you mean"
)
"""What only someone who reads our code should see."""


class World:
    """What is there when an operation is sent: a user who sends it, somebody else, and what the two have."""

    def __init__(self, settings: Settings) -> None:
        settings.CACHES = {"default": settings.CACHES["default"] | {"KEY_FUNCTION": self._cache_key}}
        self._era = uuid4().hex
        self._is_limited = False
        self._users: dict[str, User] = {}
        self._count = 0
        self._secret = ""
        self._values: dict[str, str] = {}
        self.renew()

    def renew(self) -> None:
        """Makes good what was deleted, changed or used up."""
        if self._is_limited:
            self._era = uuid4().hex
            self._is_limited = False
        self.user, other = self._kept("user"), self._kept("other")
        self._values |= {"email": self.user.email, "other": other.email, "spare": f"spare{self.user.pk}@example.com"}
        for user, own, prefix in ((self.user, "own", ""), (other, "foreign", "other")):
            if unread_count(user) < 3:
                for number in range(3):
                    notify([user], Announcement(f"Number {number}", url="/"), actor=other)
            for kind in ("Profile", "User"):
                self._values[prefix + kind.lower()] = relay.to_base64(kind, user.pk)
            newest = Notification.objects.filter(recipient=user).order_by("-pk").values_list("pk", flat=True)
            for number, pk in enumerate(newest[:5]):
                self._values[f"{own}{number}"] = relay.to_base64("Notification", pk)
                self._values[f"{prefix}cursor{number}"] = relay.to_base64(f"inbox{user.pk}", pk)

    def _cache_key(self, key: str, prefix: str, version: int) -> str:
        return f"{prefix}:{self._era}:{version}:{key}"

    def _kept(self, name: str) -> User:
        user = User.objects.filter(pk=self._users[name].pk).first() if name in self._users else None
        if user is None:
            self._count += 1
            user = make_user(f"{name}{self._count}")
            notify([user], Announcement("Long ago"))
            Notification.objects.filter(recipient=user).update(created_at=timezone.now() - timedelta(days=1_000))
            purge()  # so there are cursors that have expired
        if not user.check_password(PASSWORD):
            user.set_password(PASSWORD)
            user.save()
        self._users[name] = user
        return user

    def sessions(self) -> dict[str, str]:
        return session_cookies(self.user)

    def fill(self, text: str) -> str:
        """The text, with what `%own0%` and its like stand for just now."""
        return re.sub(r"%(cursorof )?([^%\s]*)%", self._value, text)

    def _value(self, found: re.Match[str]) -> str:
        self._count += 1
        match found.groups():
            case _, "number":
                return str(self._count)
            case _, "code":
                return totp.code(self._secret) if self._secret else "123456"
            case _, "verify" | "reset" as name:
                with suppress(AssertionError):
                    return mailed_key(VERIFY if name == "verify" else RESET)
            case None, name:
                return self._values.get(name, name)
            case _, key:
                return relay.to_base64(f"inbox{self.user.pk}", key)
        return "no-mail"

    def learn(self, text: str) -> None:
        """Keeps what only the answers tell."""
        self._is_limited |= '"RATE_LIMITED"' in text
        for number, session in enumerate(dict.fromkeys(re.findall(r'"(U2Vzc2lvbj[\w=]+)"', text))):
            self._values[f"session{number}"] = session
        if secret := re.search(r'"secret": ?"([A-Z2-7]+)"', text):
            self._secret = secret[1]
        if recovery := re.search(r'"codes": ?\["([^"]+)"', text):
            self._values["recovery"] = recovery[1]


class Tally:
    """What became of the operations."""

    def __init__(self) -> None:
        self.sent = 0
        self.with_data = 0
        self.codes: Counter[str] = Counter()
        self.executed: Counter[str] = Counter()

    def check(self, world: World, operation: Operation, results: list[Any]) -> list[str]:
        """Looks at each of the results, which are as over HTTP; returns the codes of their errors."""
        self.sent += 1
        codes: list[str] = []
        for result in results:
            text = json.dumps(result)
            world.learn(text)
            assert isinstance(result, dict), result
            assert result.keys() <= {"data", "errors", "extensions"}, result
            assert "data" in result or "errors" in result, result
            assert (leak := LEAK.search(text)) is None, (leak, result)
            data, errors = result.get("data") or {}, result.get("errors", [])
            assert errors or "errors" not in result, result
            for error in errors:
                assert error.keys() <= {"message", "locations", "path", "extensions"}, error
                assert isinstance(error["message"], str), error
                assert error["extensions"]["code"] in CODES, error
            codes += [error["extensions"]["code"] for error in errors]
            reached = {*data, *(error["path"][0] for error in errors if error.get("path"))}
            self.executed.update(field for answer, field in operation.roots.items() if answer in reached)
            self.with_data += any(value is not None for value in data.values())
        self.codes.update(set(codes))
        return codes

    def is_enough(self, sent: int, roots: set[str]) -> bool:
        """All were sent, and what they were for was reached. That takes a little more sometimes, but not for ever."""
        return self.sent >= 3 * sent or (self.sent >= sent and roots <= self.executed.keys())

    def check_all(self, sent: int, roots: set[str]) -> None:
        """What was fuzzed is the site, and not only its parser."""
        assert self.sent >= sent
        assert roots - self.executed.keys() == set()
        assert self.with_data >= 0.2 * self.sent, (self.with_data, self.codes)
        assert self.codes.keys() >= {
            "BAD_USER_INPUT",
            "BAD_CURSOR",
            "GRAPHQL_PARSE_FAILED",
            "GRAPHQL_VALIDATION_FAILED",
        }


def drawn(stories: SearchStrategy[list[Operation]]) -> Iterator[list[Operation]]:
    """Stories without end. Hypothesis only draws them: where one operation fails there is nothing to shrink."""
    for number in count(SEED * 1_000):
        yield from some_of(stories, number)


def some_of(stories: SearchStrategy[list[Operation]], number: int) -> list[list[Operation]]:
    kept: list[list[Operation]] = []

    @seed(number)
    @settings(
        max_examples=RUN,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(stories)
    def keep(story: list[Operation]) -> None:
        kept.append(story)

    keep()
    return kept


@contextmanager
def named(operation: Operation) -> Iterator[None]:
    """Adds to whatever goes wrong which operation it was."""
    try:
        yield
    except Exception as error:
        error.add_note(f"After {operation!r:.4000}")
        raise


def no_errors_in(log: pytest.LogCaptureFixture) -> None:
    records = log.records[:]
    log.clear()
    assert not records, log.handler.format(records[0])


# ---------------------------------------------------------------------------------------------------------- over HTTP


class Browser:
    """Two clients of the HTTP door, a user's and a visitor's."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._clients: dict[bool, Api] = {}

    async def _client(self, *, is_visitor: bool) -> Api:
        client = self._clients.get(is_visitor)
        if client is None:
            client = self._clients[is_visitor] = Api()
            client.headers["User-Agent"] = "fuzz"
            if not is_visitor:
                for name, value in (await sync_to_async(self._world.sessions)()).items():
                    client.cookies.set(name, value, domain="testserver.local")
        return client

    async def sign_in_anew(self) -> None:
        await sync_to_async(self._world.renew)()
        self._clients.clear()

    async def send(self, operation: Operation) -> httpx.Response:
        client = await self._client(is_visitor=operation.is_visitor)
        headers = [*(await client.csrf_headers()).items()]
        body = self._world.fill(dumps(operation.body))
        if operation.files:
            data = {"operations": body.replace('"upload"', "null"), "map": dumps(operation.map)}
            files = {name: (file.name, file.content, file.kind) for name, file in operation.files.items()}
            return await client.post("/graphql/", data=data, files=files, headers=headers)
        content = body.encode() if operation.raw is None else operation.raw
        content_type = (b"Content-Type", operation.content_type.encode("latin-1"))
        encoded = [(name.encode(), value.encode()) for name, value in headers]
        return await client.post("/graphql/", content=content, headers=[*encoded, content_type])


async def test_over_http(transactional_db: None, settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    world, tally = await sync_to_async(World)(settings), Tally()
    browser = Browser(world)
    roots = {name for kind, name in ROOTS if kind is not OperationType.SUBSCRIPTION}
    for story in drawn(http_stories):
        await browser.sign_in_anew()
        for operation in story:
            with named(operation):
                async with asyncio.timeout(PATIENCE):
                    response = await browser.send(operation)
                assert response.status_code < 500, response
                assert "json" in response.headers["Content-Type"], response.text
                codes = tally.check(world, operation, [response.json()])
                no_errors_in(caplog)
            if "UNAUTHENTICATED" in codes and not operation.is_visitor:
                await browser.sign_in_anew()
        if tally.is_enough(HTTP, roots):
            break
    tally.check_all(HTTP, roots)


# ----------------------------------------------------------------------------------------------------- over WebSocket


class Closed(Exception):
    pass


class Wire(Socket):
    """A socket that says at once what became of the application, and whose every message is looked at."""

    async def receive(self) -> Any:
        """The next message. Raises `Closed`, and whatever the application raised."""
        getting = asyncio.ensure_future(self.output_queue.get())
        done, _ = await asyncio.wait({getting, self.future}, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        if getting not in done:
            getting.cancel()
            assert done, "A zombie: neither answered nor closed"
            self.future.result()
            raise AssertionError("Ended without a word")
        event = getting.result()
        if event["type"] == "websocket.close":
            code, reason = event["code"], event.get("reason") or ""
            assert 4400 <= code < 4500, event
            assert len(reason.encode()) <= 123, event  # what a frame that closes can hold
            assert LEAK.search(reason) is None, reason
            raise Closed(code)
        message = json.loads(event["text"])
        if message["type"] == "ping":
            await self.send_json_to({"type": "pong"})
            return await self.receive()
        return message

    async def say(self, message: Any) -> None:
        if isinstance(message, bytes):
            await self.send_to(bytes_data=message)
        else:
            await self.send_to(text_data=dumps(message))

    async def ask(self, world: World, operation: Operation) -> list[Any]:
        """The results of one operation, after which the socket is as before. Raises `Closed`."""
        self._operations += 1
        name, results = str(self._operations), []
        for message in operation.messages:
            await self.say(message)
        if not operation.messages:
            payload = Raw(world.fill(dumps(operation.body)))
            await self.say({"id": name, "type": "subscribe", "payload": payload})
            while True:
                message = await self.receive()
                assert message["id"] == name, message
                match message["type"]:
                    case "next":
                        results.append(message["payload"])
                        if operation.is_subscription or operation.is_mutated:
                            await self.say({"id": name, "type": "complete"})
                            break
                    case "error":
                        results.append({"errors": message["payload"]})
                        break
                    case "complete":
                        assert results
                        break
                    case _:
                        raise AssertionError(message)
        await self.say({"type": "ping"})
        while (message := await self.receive())["type"] != "pong":
            assert operation.messages or message["id"] == name, message
            if message["type"] == "error":
                results.append({"errors": message["payload"]})
            elif message["type"] == "next":
                results.append(message["payload"])
        return results


async def test_over_websocket(transactional_db: None, settings: Settings, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    world, tally = await sync_to_async(World)(settings), Tally()
    roots = {name for _, name in ROOTS}
    for story in drawn(websocket_stories):
        await sync_to_async(world.renew)()
        waiting = deque(story)
        while waiting:
            is_visitor = waiting[0].is_visitor
            wire = Wire({} if is_visitor else await sync_to_async(world.sessions)())
            assert await wire.connect(PATIENCE) == (True, SUBPROTOCOL)
            if not (is_visitor and waiting[0].is_mutated):
                await wire.say({"type": "connection_init"})
            if not is_visitor:
                assert (await wire.receive())["type"] == "connection_ack"
            while waiting and waiting[0].is_visitor is is_visitor:
                operation = waiting.popleft()
                with named(operation):
                    try:
                        results = await wire.ask(world, operation)
                    except Closed:
                        tally.check(world, operation, [])
                        break
                    assert not is_visitor, "A visitor was let in"
                    tally.check(world, operation, results)
                    no_errors_in(caplog)
                if operation.messages:  # whose answers may still come
                    break
            await wire.disconnect(timeout=PATIENCE)
            no_errors_in(caplog)
        if tally.is_enough(WEBSOCKET, roots):
            break
    tally.check_all(WEBSOCKET, roots)
