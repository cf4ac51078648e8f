"""GraphQL over a WebSocket: the protocol graphql-transport-ws, for those who are signed in.

https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md. Strawberry's own handler leaves a socket open and deaf
after some messages, and closes it for a mere syntax error; this one answers or closes, whatever comes.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import aclosing, suppress
from typing import Any, cast

from django.conf import settings
from django.http import parse_cookie
from strawberry.types.execution import ExecutionResult

from apps.users.models import User
from config.graphql.context import WebSocketContext
from config.graphql.encoding import write_json
from config.graphql.errors import error_response, failure, response
from config.graphql.events import Events
from config.graphql.flow import Allowance, Window
from config.graphql.parameters import Malformed, Parameters, read_json
from config.graphql.sign_ins import SignIn, asigned_in, watch
from config.schema import schema
from config.shutdown import shutdown

logger = logging.getLogger(__name__)

type Message = MutableMapping[str, Any]
type Receive = Callable[[], Awaitable[Message]]
type Send = Callable[[Message], Awaitable[None]]

PATH = "/graphql/"
SUBPROTOCOL = "graphql-transport-ws"
INIT_SECONDS = 10
"""How long a client has for `connection_init`."""
QUIET_SECONDS = 15
"""How often it is noticed that a client has said nothing."""
MAX_SILENCES = 2
"""Then it is asked for a sign of life; and at the next, 45 seconds after its last message at the most, it is gone."""
MAX_MESSAGE = 64 * 1024
MESSAGES_AT_ONCE = 500
MESSAGES_PER_SECOND = 100
MAX_OPERATIONS = 20
"""Of one socket at a time, with those that the client has completed and that are still coming to their end."""
MAX_SOCKETS = 20
"""Of one user, in one process."""
MAX_REASON = 123  # bytes, in a close frame

BAD_REQUEST = 4400
UNAUTHORIZED = 4401
FORBIDDEN = 4403
SUBPROTOCOL_NOT_ACCEPTABLE = 4406
TIMEOUT = 4408
SUBSCRIBER_ALREADY_EXISTS = 4409
TOO_MANY_REQUESTS = 4429
INTERNAL_ERROR = 4500

GONE = suppress(OSError)
"""The client has, as the next event that is received will say."""

_sockets: Counter[int | None] = Counter()
"""How many each user has; None: visitors."""


async def graphql_socket(scope: Message, receive: Receive, send: Send) -> None:
    """The ASGI application of all WebSockets; there is one address for them."""
    if scope["path"] != PATH:
        await receive()
        await send({"type": "websocket.close"})  # which refuses it
        return
    session_key = _session_key(scope)
    scope["headers"] = []  # as long as the socket is open, the server keeps the scope
    user = await asigned_in(session_key) if session_key else None
    await Socket(user, session_key, SUBPROTOCOL in scope["subprotocols"], receive, send).run()


def _session_key(scope: Message) -> str | None:
    cookies = b"; ".join(value for name, value in scope["headers"] if name == b"cookie")
    return parse_cookie(cookies.decode("latin-1")).get(settings.SESSION_COOKIE_NAME)


class Closed(Exception):
    """The socket is to be closed, with this code and reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


class Socket:
    def __init__(self, user: User | None, session_key: str | None, is_ours: bool, receive: Receive, send: Send) -> None:
        self._receive = receive
        self._send_to_server = send
        self._is_ours = is_ours  # its client speaks the protocol
        self._user = user
        self._context = WebSocketContext(user, session_key)
        self._window = Window()
        self._allowance = Allowance(MESSAGES_AT_ONCE, MESSAGES_PER_SECOND)
        self._initialised = self._acknowledged = self._closed = False
        self._silences = 0
        self._operations: dict[str, asyncio.Future[None]] = {}
        self._tasks: set[asyncio.Future[None]] = set()  # of the operations, and of those that are still ending
        self._clock = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        await self._receive()  # websocket.connect
        await self._emit({"type": "websocket.accept", "subprotocol": SUBPROTOCOL if self._is_ours else None})
        user_id = self._user.pk if self._user else None
        _sockets[user_id] += 1
        shutdown.opened(self)
        try:
            if not self._is_ours:
                raise Closed(SUBPROTOCOL_NOT_ACCEPTABLE, "Subprotocol not acceptable")
            if user_id and _sockets[user_id] > MAX_SOCKETS:
                raise Closed(TOO_MANY_REQUESTS, "Too many sockets")
            self._timer = self._clock.call_later(INIT_SECONDS, self._give_up, "Connection initialisation timeout")
            while (message := await self._receive())["type"] == "websocket.receive":
                await self._handle(message)
        except Closed as closed:
            await self.end(closed.code, closed.reason)
        except Exception:
            logger.exception("A message could not be handled")
            await self.end(INTERNAL_ERROR, "Internal server error")
        finally:
            self._forget()
            _sockets[user_id] -= 1
            if not _sockets[user_id]:
                del _sockets[user_id]
            if self._tasks:
                await asyncio.wait(self._tasks)  # a mutation runs to its end

    # ------------------------------------------------------------------------------------------ what the client sends

    async def _handle(self, frame: Message) -> None:
        message = self._read(frame)
        kind = message["type"]
        self._silences = 0
        if kind == "pong" and self._window.answered():
            if self._window.is_time_to_ask():
                await self._ping()
        elif not self._allowance.take():
            raise Closed(TOO_MANY_REQUESTS, "Too many messages")
        match kind:
            case "connection_init":
                await self._initialise()
            case "ping":
                payload = {"payload": message["payload"]} if message.get("payload") else {}
                await self._reply({"type": "pong"} | payload)
            case "subscribe":
                await self._subscribe(message["id"], message.get("payload"))
            case "complete":
                if task := self._operations.pop(message["id"], None):
                    task.cancel()

    def _read(self, frame: Message) -> dict[str, Any]:
        text = frame.get("text")
        if text is None:
            raise Closed(BAD_REQUEST, "A message must be text")
        if len(text) > MAX_MESSAGE or len(text.encode(errors="replace")) > MAX_MESSAGE:
            raise Closed(BAD_REQUEST, "A message is too large")
        try:
            message = read_json(text)
        except Malformed as malformed:
            raise Closed(BAD_REQUEST, str(malformed)) from malformed
        match message:
            case {"type": "connection_init" | "ping" | "pong"} if isinstance(message.get("payload"), dict | None):
                return message
            case {"type": "subscribe" | "complete", "id": str(operation)} if operation:
                return message
        raise Closed(BAD_REQUEST, "This is no message of graphql-transport-ws")

    async def _initialise(self) -> None:
        if self._initialised:
            raise Closed(TOO_MANY_REQUESTS, "Too many initialisation requests")
        self._initialised = True
        if self._timer:
            self._timer.cancel()
        if self._user is None or self._context.session_key is None:
            raise Closed(FORBIDDEN, "Forbidden")
        watch().add(self, SignIn(self._context.session_key, self._user.pk, self._user.password))
        await self._reply({"type": "connection_ack"})
        self._acknowledged = True
        self._timer = self._clock.call_later(QUIET_SECONDS, self._listen)

    async def _subscribe(self, operation: str, payload: Any) -> None:
        if not self._acknowledged:
            raise Closed(UNAUTHORIZED, "Unauthorized")
        if operation in self._operations:
            raise Closed(SUBSCRIBER_ALREADY_EXISTS, f"Subscriber for {operation} already exists")
        try:
            parameters = Parameters.of(payload)
        except Malformed as malformed:
            raise Closed(BAD_REQUEST, str(malformed)) from malformed
        if len(self._tasks) >= MAX_OPERATIONS:
            errors = error_response(f"At most {MAX_OPERATIONS} operations at a time.", "RATE_LIMITED")["errors"]
            await self._reply({"id": operation, "type": "error", "payload": errors})
            return
        self._operations[operation] = self._start(self._execute(operation, parameters))

    # --------------------------------------------------------------------------------------------- what is sent to it

    async def _execute(self, operation: str, parameters: Parameters) -> None:
        last: dict[str, Any] = {"type": "complete"}
        begin = b'{"id":%b,"type":"next","payload":' % write_json(operation)
        try:
            events = Events()
            results = await schema.stream(
                parameters.query,
                variable_values=parameters.variables,
                context_value=self._context,
                operation_name=parameters.operation_name,
            )
            async with aclosing(results):
                async for result in results:
                    payload = response(cast(ExecutionResult, result))  # there is no incremental delivery here
                    if "data" not in payload:
                        last = {"type": "error", "payload": payload["errors"]}
                        break
                    await self._send(b"%b%b}" % (begin, write_json(payload)))
                    while (data := await events.next_data()) is not None:
                        await self._send(b'%b{"data":%b}}' % (begin, write_json(data)))
        except Exception as error:
            last = {"type": "error", "payload": response(failure(error))["errors"]}
        await self._room()
        self._operations.pop(operation, None)  # after its last message its id is free
        await self._write(write_json({"id": operation} | last))

    async def _send(self, message: bytes) -> None:
        """Waits for room, as what an operation sends can."""
        if self._window.is_full:
            await self._room()
        await self._write(message)

    async def _room(self) -> None:
        try:
            await self._window.room()
        except TimeoutError:
            await asyncio.shield(self._give_up("No pong"))  # which cancels this operation

    async def _ping(self) -> None:
        if not self._closed:
            await self._emit({"type": "websocket.send", "text": '{"type":"ping"}'})

    async def _emit(self, event: Message) -> None:
        with GONE:
            await self._send_to_server(event)

    async def _reply(self, message: dict[str, Any]) -> None:
        """Does not wait, as this is for the one who also reads the client's answers."""
        size = await self._write(write_json(message))
        try:
            self._window.reply(size)
        except TimeoutError as error:
            raise Closed(TIMEOUT, "No pong") from error

    async def _write(self, message: bytes) -> int:
        if self._closed:  # after the close comes nothing
            return 0
        self._window.sending(len(message))
        is_time_to_ask = self._window.is_time_to_ask()
        await self._emit({"type": "websocket.send", "text": message.decode()})
        if is_time_to_ask:
            await self._ping()
        return len(message)

    # -------------------------------------------------------------------------------------------------- how it ends

    def _listen(self) -> None:
        """Asks a client that says nothing whether it is still there, and ends one that is not."""
        self._silences += 1
        if self._silences > MAX_SILENCES:
            self._give_up("No pong")
            return
        if self._silences == MAX_SILENCES and self._window.ask():
            self._start(self._ping())
        self._timer = self._clock.call_later(QUIET_SECONDS, self._listen)

    def _give_up(self, reason: str) -> asyncio.Future[None]:
        return self._start(self.end(TIMEOUT, reason))

    def _start(self, coroutine: Awaitable[None]) -> asyncio.Future[None]:
        task = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def end(self, code: int, reason: str) -> None:
        """Closes the socket, and ends its operations. What `run` receives then is a disconnect (`config.closing`)."""
        if self._closed:
            return
        self._forget()
        reason = reason.encode(errors="replace")[:MAX_REASON].decode(errors="ignore")
        await self._emit({"type": "websocket.close", "code": code, "reason": reason})

    def _forget(self) -> None:
        self._closed = True
        shutdown.sockets.discard(self)
        watch().discard(self)
        if self._timer:
            self._timer.cancel()
        for task in self._operations.values():
            task.cancel()
        self._operations.clear()
