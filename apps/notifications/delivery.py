"""Live delivery. The table is the truth; the channel layer is a doorbell that usually carries the parcel.

A committed change is published to its user's group. Each serving process has one `Hub`, which joins the groups of the
users it serves and hands what arrives to their subscriptions. Whatever is lost on the way (the layer promises nothing)
is noticed, by the hole it leaves in the numbers or by the hub's poll, and read from the table.
"""

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar
from typing import Any

from channels.db import database_sync_to_async
from channels.layers import get_channel_layer
from django.conf import settings
from django.db import InterfaceError, OperationalError

from apps.notifications.changes import InboxChange, pack, read_changes, sequences, unpack

logger = logging.getLogger(__name__)

type Message = tuple[str, dict[str, Any]]  # a group and what it is sent

MAX_PENDING = 16
"""Changes that wait for one slow subscription. Past that it forgets them, and reads the table when it gets there."""
MAX_QUEUED = 10_000
"""Messages that wait in a process for the channel layer."""
SEND_BATCH = 100
"""Messages that are sent, or given up, together."""
LAYER_SECONDS = 2
"""How long anything here waits for the channel layer, which may be away, or worse: connected and silent."""
INLINE_SECONDS = 0.5
"""The same, after each commit, for a process that serves nobody, such as a command."""

aread_changes = database_sync_to_async(read_changes)
asequences = database_sync_to_async(sequences)


def group_name(user_id: int) -> str:
    """The channel layer's group for a user: who publishes and who listens both ask here."""
    return f"inbox.{user_id}"


# ---------------------------------------------------------------------------------------------------- publishing


def publish(changes: Sequence[InboxChange]) -> None:
    """Sends committed changes on their way, from any thread, waiting for nobody. What gets lost is polled for later.

    In a serving process the event loop sends them. (Not `async_to_sync` here: in a request's thread it is cancelled
    along with the request. Nor a loop of our own: the in-memory layer would wake nobody on the other one.)
    """
    if _silent.get():
        return
    messages = [(group_name(change.user_id), pack(change)) for change in changes]
    if _hub is not None and _hub.loop.is_running():
        _hub.loop.call_soon_threadsafe(_hub.enqueue, messages)
    else:
        asyncio.run(_send_all(messages, INLINE_SECONDS))


_silent: ContextVar[bool] = ContextVar("silent", default=False)


@contextmanager
def silent() -> Iterator[None]:
    """What is committed meanwhile rings no bell: subscribers, if there are any, poll for it. For loading in bulk."""
    token = _silent.set(True)
    try:
        yield
    finally:
        _silent.reset(token)


async def _send_all(messages: Iterable[Message], seconds: float) -> None:
    """Gives up at the first one that fails: a layer that is away would fail each of them, and keep the next waiting."""
    try:
        async with asyncio.timeout(seconds):
            for group, message in messages:
                await get_channel_layer().group_send(group, message)
    except Exception as error:
        logger.warning("Could not publish, subscribers will poll: %r", error)


# --------------------------------------------------------------------------------------------------- subscribing


async def follow(user_id: int, after: int | None) -> AsyncGenerator[InboxChange]:
    """The inbox's changes after that number, for ever: in order, none lost, none twice. The first comes at once.

    Raises `BadCursor` and `CursorExpired`.
    """
    async with serving_hub().subscription(user_id) as subscription:
        # Joined first, read then: what is committed in between is heard of, and what came before is in the table.
        change = await aread_changes(user_id, after)
        while True:
            subscription.position = change.sequence
            yield change
            if change.has_more:
                subscription.catch_up_to(change.sequence + 1)
            change = await subscription.next()


class Subscription:
    """One client's place in an inbox, and what has arrived for it meanwhile."""

    def __init__(self, user_id: int) -> None:
        self.user_id = user_id
        self.position = 0
        self._pending: deque[InboxChange] = deque()
        self._behind = False  # the table knows more than what is pending here
        self._news = asyncio.Event()

    def offer(self, change: InboxChange) -> None:
        if len(self._pending) < MAX_PENDING:
            self._pending.append(change)
        else:
            self._pending.clear()
            self._behind = True
        self._news.set()

    def catch_up_to(self, sequence: int) -> None:
        if sequence > self.position:
            self._behind = True
            self._news.set()

    async def next(self) -> InboxChange:
        """The next change after `position`: as it arrived if it continues from there, else from the table."""
        while True:
            if self._behind:
                # Cleared before reading: what was published before now is in the table by now.
                self._behind = False
                self._pending.clear()
                if change := await self._read():
                    return change
            elif self._pending:
                change = self._pending.popleft()
                if change.sequence <= self.position:
                    continue
                if change.after == self.position and change.notifications is not None:
                    return change
                self._behind = True
            else:
                self._news.clear()
                await self._news.wait()

    async def _read(self) -> InboxChange | None:
        try:
            change = await aread_changes(self.user_id, self.position)
        except (OperationalError, InterfaceError) as error:
            logger.warning("Could not read inbox %s, the next poll will try again: %r", self.user_id, error)
            return None
        return change if change.sequence > self.position else None


class Hub:
    """What a process's subscriptions share: a place in the channel layer, one poll, the queue of what to publish."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._queue: deque[Message] = deque(maxlen=MAX_QUEUED)
        self._sender: asyncio.Task[None] | None = None
        self._subscriptions: dict[int, set[Subscription]] = {}
        self._joined: set[int] = set()
        self._joining = asyncio.Lock()
        self._channel = ""
        self._listener: asyncio.Task[None] | None = None
        self._poller: asyncio.Task[None] | None = None

    def enqueue(self, messages: Iterable[Message]) -> None:
        self._queue.extend(messages)
        if self._sender is None or self._sender.done():
            self._sender = self.loop.create_task(self._send_queued())

    async def _send_queued(self) -> None:
        while self._queue:
            messages = [self._queue.popleft() for _ in range(min(len(self._queue), SEND_BATCH))]
            await _send_all(messages, LAYER_SECONDS)

    @asynccontextmanager
    async def subscription(self, user_id: int) -> AsyncGenerator[Subscription]:
        subscription = Subscription(user_id)
        self._subscriptions.setdefault(user_id, set()).add(subscription)
        if self._poller is None:
            self._poller = self.loop.create_task(self._poll())
        try:
            await self._join()
            yield subscription
        finally:
            self._subscriptions[user_id].discard(subscription)
            if not self._subscriptions[user_id]:
                del self._subscriptions[user_id]
                await asyncio.shield(self._leave(user_id))

    async def _join(self) -> None:
        """Joins the groups of all users served here. Without a channel layer the poll carries on, and tries again."""
        try:
            async with self._joining, asyncio.timeout(LAYER_SECONDS):
                layer = get_channel_layer()
                if self._listener is None or self._listener.done():
                    self._joined.clear()
                    self._channel = await layer.new_channel()
                    self._listener = self.loop.create_task(self._listen(self._channel))
                for user_id in self._subscriptions.keys() - self._joined:
                    await layer.group_add(group_name(user_id), self._channel)
                    self._joined.add(user_id)
        except Exception as error:
            logger.warning("Could not join the channel layer, polling until it is back: %r", error)

    async def _leave(self, user_id: int) -> None:
        async with self._joining:
            if user_id not in self._subscriptions and user_id in self._joined:  # nobody came back meanwhile
                self._joined.discard(user_id)
                try:
                    async with asyncio.timeout(LAYER_SECONDS):
                        await get_channel_layer().group_discard(group_name(user_id), self._channel)
                except Exception as error:
                    logger.warning("Could not leave %s: %r", group_name(user_id), error)
            if not self._subscriptions:
                await self._stop()

    async def _stop(self) -> None:
        tasks = [task for task in (self._listener, self._poller) if task]
        self._listener = self._poller = None
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _listen(self, channel: str) -> None:
        layer = get_channel_layer()
        while True:
            message = await layer.receive(channel)
            try:
                change = unpack(message)
            except (KeyError, TypeError, ValueError):  # from a process of another version, in the midst of a deployment
                logger.exception("Could not read a message, subscribers will poll")
                continue
            for subscription in self._subscriptions.get(change.user_id, ()):
                subscription.offer(change)

    async def _poll(self) -> None:
        """Finds what the channel layer lost: one statement for all users served here."""
        while True:
            await asyncio.sleep(settings.NOTIFICATIONS_POLL_SECONDS)
            try:
                await self._join()
                for user_id, sequence in (await asequences(list(self._subscriptions))).items():
                    for subscription in self._subscriptions.get(user_id, ()):
                        subscription.catch_up_to(sequence)
            except Exception:
                logger.exception("The poll of the inboxes failed; it will try again")


_hub: Hub | None = None


def serving_hub() -> Hub:
    """The hub of the running event loop, which is the one that serves. Free after the first call."""
    global _hub
    loop = asyncio.get_running_loop()
    if _hub is None or _hub.loop is not loop:
        _hub = Hub(loop)
    return _hub
