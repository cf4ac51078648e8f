"""Live delivery. The table is the truth; the channel layer is a doorbell that usually carries the parcel.

A committed change is published to its user's group. Each serving process has one `Hub`, which joins the groups of the
users it serves and hands what arrives to their subscriptions. Whatever is lost on the way (the layer promises nothing)
is noticed, by the hole it leaves in the numbers or by the hub's poll, and read from the table.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncGenerator, Collection, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from channels.db import database_sync_to_async
from channels.layers import get_channel_layer
from django.conf import settings

from apps.notifications.changes import InboxChange, read_news, unpack
from apps.notifications.subscriptions import Subscription

logger = logging.getLogger(__name__)

type Message = tuple[str, dict[str, Any]]  # a group and what it is sent

MAX_QUEUED = 10_000
"""Messages that wait in a process for the channel layer."""
SEND_BATCH = 100
"""Messages that are sent, or given up, together."""
LAYER_SECONDS = 2
"""How long anything here waits for the channel layer, which may be away, or worse: connected and silent."""
INLINE_SECONDS = 0.5
"""The same, after each commit, for a process that serves nobody, such as a command."""
INLINE_PAUSE_SECONDS = 2.0
"""How long such a process leaves the layer alone after it failed: a thousand commits must not wait a thousand times."""
NOT_PUBLISHED = "Could not publish, subscribers will poll: %r"

aread_news = database_sync_to_async(read_news)


def group_name(user_id: int) -> str:
    """The channel layer's group for a user: who publishes and who listens both ask here."""
    return f"inbox.{user_id}"


# ---------------------------------------------------------------------------------------------------- publishing


def publish(changes: Iterable[dict[str, Any]]) -> None:
    """Sends committed changes, packed, on their way, from any thread, waiting for nobody. What gets lost is polled for.

    In a serving process the event loop sends them. (Not `async_to_sync` here: in a request's thread it is cancelled
    along with the request. Nor a loop of our own: the in-memory layer would wake nobody on the other one.)
    """
    if _silent.get():
        return
    messages = [(group_name(change["user_id"]), change) for change in changes]
    if _hub is not None and _hub.loop.is_running():
        _hub.loop.call_soon_threadsafe(_hub.enqueue, messages)
    else:
        _publish_inline(messages)


_inline_again_at = 0.0


def _publish_inline(messages: list[Message]) -> None:
    global _inline_again_at
    if time.monotonic() >= _inline_again_at and not _send_inline(messages):
        _inline_again_at = time.monotonic() + INLINE_PAUSE_SECONDS


def _send_inline(messages: list[Message]) -> bool:
    layer = get_channel_layer()
    if not getattr(layer, "works_without_loop", False):
        return asyncio.run(_send_all(messages, INLINE_SECONDS))
    try:
        layer.group_send_many_now(messages, INLINE_SECONDS)
    except Exception as error:
        logger.warning(NOT_PUBLISHED, error)
        return False
    return True


_silent: ContextVar[bool] = ContextVar("silent", default=False)


@contextmanager
def silent() -> Iterator[None]:
    """What is committed meanwhile rings no bell: subscribers, if there are any, poll for it. For loading in bulk."""
    token = _silent.set(True)
    try:
        yield
    finally:
        _silent.reset(token)


async def _send_all(messages: Iterable[Message], seconds: float) -> bool:
    """Gives up at the first one that fails: a layer that is away would fail each of them, and keep the next waiting."""
    layer = get_channel_layer()
    try:
        async with asyncio.timeout(seconds):
            if hasattr(layer, "group_send_many"):
                await layer.group_send_many(messages)
            else:
                for group, message in messages:
                    await layer.group_send(group, message)
    except Exception as error:
        logger.warning(NOT_PUBLISHED, error)
        return False
    return True


# --------------------------------------------------------------------------------------------------- subscribing


async def follow(user_id: int, after: int | None) -> AsyncGenerator[InboxChange]:
    """The inbox's changes after that number, for ever: in order, none lost, none twice. The first comes at once.

    Raises `BadCursor` and `CursorExpired`.
    """
    hub, subscription = serving_hub(), Subscription(user_id)
    hub.add(subscription)
    try:
        # Joined first, read then: what is committed in between is heard of, and what came before is in the table.
        await hub.join(user_id)
        change = await subscription.first(after)
        while True:
            yield change
            change = await subscription.next()
    finally:
        hub.discard(subscription)


async def _receive(layer: Any, channel: str) -> list[dict[str, Any]]:
    """What has arrived, as soon as there is something."""
    return await layer.receive_many(channel) if hasattr(layer, "receive_many") else [await layer.receive(channel)]


class Hub:
    """What a process's subscriptions share: a place in the channel layer, one poll, the queue of what to publish."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._queue: deque[Message] = deque(maxlen=MAX_QUEUED)
        self._sender: asyncio.Task[None] | None = None
        self._subscriptions: dict[int, set[Subscription]] = {}
        self._joined: set[int] = set()
        self._layer_lock = asyncio.Lock()
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

    def add(self, subscription: Subscription) -> None:
        self._subscriptions.setdefault(subscription.user_id, set()).add(subscription)
        if self._poller is None:
            self._poller = self.loop.create_task(self._poll())

    async def join(self, user_id: int) -> None:
        if user_id not in self._joined:
            await self._join([user_id])

    def discard(self, subscription: Subscription) -> None:
        of_user = self._subscriptions[subscription.user_id]
        of_user.discard(subscription)
        if not of_user:
            del self._subscriptions[subscription.user_id]  # the poll leaves the group, unless the user is back by then

    async def _join(self, user_ids: Collection[int]) -> None:
        """Joins these users' groups. Without a channel layer the poll carries on, and tries again."""
        if not user_ids:
            return
        try:
            async with asyncio.timeout(LAYER_SECONDS), self._layer_lock:
                layer = get_channel_layer()
                if self._listener is None:
                    self._channel = await layer.new_channel()
                    self._listener = self.loop.create_task(self._listen(self._channel))
                for user_id in user_ids:
                    await layer.group_add(group_name(user_id), self._channel)
                    self._joined.add(user_id)
        except Exception as error:
            logger.warning("Could not join the channel layer, polling until it is back: %r", error)

    async def _leave(self, user_ids: Collection[int]) -> None:
        if not user_ids:
            return
        try:
            async with asyncio.timeout(LAYER_SECONDS), self._layer_lock:
                for user_id in user_ids:
                    if user_id not in self._subscriptions:  # who is back by now stays
                        self._joined.discard(user_id)  # first: who comes back meanwhile joins anew
                        await get_channel_layer().group_discard(group_name(user_id), self._channel)
        except Exception as error:
            logger.warning("Could not leave the groups of users who have gone: %r", error)

    async def _listen(self, channel: str) -> None:
        """Ends where the layer fails to hand anything out; the next poll listens anew."""
        layer = get_channel_layer()
        while True:
            try:
                messages = await _receive(layer, channel)
            except Exception as error:
                logger.warning("Could not receive from the channel layer, polling until it is back: %r", error)
                self._listener = None
                self._joined.clear()
                return
            for message in messages:
                self._hand_out(message)

    def _hand_out(self, message: dict[str, Any]) -> None:
        try:
            change = unpack(message)
        except (KeyError, TypeError, ValueError):  # from a process of another version, in the midst of a deployment
            logger.exception("Could not read a message, subscribers will poll")
            return
        for subscription in self._subscriptions.get(change.user_id, ()):
            subscription.offer(change)

    async def _poll(self) -> None:
        upkeep = None
        while self._subscriptions or self._joined:
            await asyncio.sleep(settings.NOTIFICATIONS_POLL_SECONDS)
            try:
                behind = await self.poll()
                if upkeep is None or upkeep.done():  # by itself: a layer that is silent must not hold up the poll
                    upkeep = self.loop.create_task(self._keep_groups(behind))
            except Exception:
                logger.exception("The poll of the inboxes failed; it will try again")
        # Nobody is served. Without an `await` from here on: who comes now finds nothing, and begins anew.
        if self._listener is not None:
            self._listener.cancel()
        self._listener = self._poller = None

    async def poll(self) -> set[int]:
        """Finds what the channel layer lost, in a few statements for all users served here; returns who was behind."""
        positions = {
            user_id: min(known)
            for user_id, subscriptions in self._subscriptions.items()
            if (known := [one.known for one in subscriptions if one.known is not None])
        }
        news = await aread_news(positions)
        for change in news:
            for subscription in self._subscriptions.get(change.user_id, ()):
                subscription.offer(change)
        return {change.user_id for change in news}

    async def _keep_groups(self, behind: set[int]) -> None:
        """Brings the groups in line with who is served. Who was `behind` joins again.

        For perhaps the layer forgot them: it was flushed, or keeps no membership for ever.
        """
        served = self._subscriptions.keys()
        await self._leave(self._joined - served)
        await self._join((served & behind) | (served - self._joined))


_hub: Hub | None = None


def serving_hub() -> Hub:
    """The hub of the running event loop, which is the one that serves. Free after the first call."""
    global _hub
    loop = asyncio.get_running_loop()
    if _hub is None or _hub.loop is not loop:
        _hub = Hub(loop)
    return _hub
