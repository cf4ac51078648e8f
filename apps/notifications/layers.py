"""The pub/sub layer of channels-redis, and what it lacks for an inbox: thousands of messages at a time, both ways."""

import asyncio
import logging
import math
from collections import defaultdict
from collections.abc import Iterable
from contextlib import suppress
from functools import cached_property
from itertools import batched
from typing import Any
from uuid import uuid4

from channels_redis import pubsub
from channels_redis.utils import _wrap_close, decode_hosts
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry

logger = logging.getLogger(__name__)

type Messages = Iterable[tuple[str, dict[str, Any]]]  # groups, and what each is sent

MAX_AT_ONCE = 100
"""Messages that are received before the event loop has its turn."""
MAX_IN_A_COMMAND = 200
"""Messages that are published before Redis, too, has time for others."""
PUBLISH = "for at = 1, #ARGV, 2 do redis.call('PUBLISH', ARGV[at], ARGV[at + 1]) end"
"""Channels and messages by turns. In Lua: to redis-py each command costs more than publishing does to Redis."""
READ_SECONDS = 1.0
"""How long messages are read by themselves, before redis-py has a look at the connection."""
FOR_EVER = {"timeout": math.inf, "disconnect_on_error": False, "push_request": True}
"""As redis-py itself reads what is published. By protocol 3 that is a push, which it gives only to who requests it."""


class RedisPubSubChannelLayer(pubsub.RedisPubSubChannelLayer):
    """Its `group_send` waits for Redis to answer before the next may go; ten times slower than `group_send_many`.

    And its `receive` gives one message, for which a task has to be woken; `receive_many` gives what there is.
    """

    def __init__(self, hosts: Iterable[Any] | None = None, **options: Any) -> None:
        # Without `driver_info` redis-py looks up its own version on the disk, on the event loop, for each connection.
        # By protocol 3 it would write each message that it receives into a line for a log, whether or not there is one.
        defaults = {"driver_info": None, "protocol": 2}
        super().__init__(hosts=[defaults | host for host in decode_hosts(hosts)], **options)
        self._clients: dict[tuple[Any, float], Redis] = {}

    def _get_layer(self) -> "_LoopLayer":
        loop = asyncio.get_running_loop()
        if loop not in self._layers:
            self._layers[loop] = _LoopLayer(*self._args, **self._kwargs, channel_layer=self)
            _wrap_close(self, loop)
        return self._layers[loop]

    async def receive_many(self, channel: str) -> list[dict[str, Any]]:
        """Waits for a message, as `receive` does, and returns with it what has arrived by then."""
        layer = self._get_layer()
        messages = [await layer.receive(channel)]
        queue = layer.channels.get(channel)  # none where the layer was flushed meanwhile
        while queue and not queue.empty():
            messages.append(self.deserialize(queue.get_nowait()))
        return messages

    async def group_send_many(self, messages: Messages) -> None:
        """Sends each message to its group, in order, as `group_send` would."""
        for shard, published in self._by_shard(self._get_layer(), messages).items():
            async with shard._lock:
                shard._ensure_redis()
                for some in batched(published, 2 * MAX_IN_A_COMMAND):
                    await shard._redis.eval(PUBLISH, 0, *some)

    @property
    def works_without_loop(self) -> bool:
        """Whether `group_send_many_now` knows how to connect: to addresses, that is, and not by way of sentinels."""
        return all("address" in shard.host for shard in self._without_loop._shards)

    def group_send_many_now(self, messages: Messages, seconds: float) -> None:
        """The same without an event loop, waiting at most `seconds` for each answer.

        Its connections are kept: to make one takes thirty times as long as to send a message. The pool behind them may
        be used by many threads, notices a fork, and replaces a connection that Redis has closed.
        """
        for shard, published in self._by_shard(self._without_loop, messages).items():
            for some in batched(published, 2 * MAX_IN_A_COMMAND):
                self._client(shard, seconds).eval(PUBLISH, 0, *some)

    @cached_property
    def _without_loop(self) -> Any:
        """The layer that there is for each loop, for its names and addresses only."""
        return pubsub.RedisPubSubLoopLayer(*self._args, **self._kwargs, channel_layer=self)

    def _client(self, shard: Any, seconds: float) -> Redis:
        if (shard, seconds) not in self._clients:
            patience = {"socket_timeout": seconds, "socket_connect_timeout": seconds, "retry": Retry(NoBackoff(), 0)}
            options = shard.host | patience
            self._clients[shard, seconds] = Redis.from_url(options.pop("address"), **options)
        return self._clients[shard, seconds]

    def _by_shard(self, layer: Any, messages: Messages) -> dict[Any, list[str | bytes]]:
        """What to publish there: channels and messages by turns."""
        by_shard: defaultdict[Any, list[str | bytes]] = defaultdict(list)
        for group, message in messages:
            channel = layer._get_group_channel_name(group)
            by_shard[layer._get_shard(channel)] += channel, self.serialize(message)
        return by_shard

    async def new_channel(self, prefix: str = "specific.") -> str:
        """As inherited, but where Redis is away nothing stays behind: the queue is made before it is asked."""
        layer = self._get_layer()
        channel = f"{layer.prefix}{prefix}{uuid4().hex}"
        try:
            await layer._subscribe_to_channel(channel)
        except BaseException:
            layer.channels.pop(channel, None)
            raise
        return channel


class _LoopLayer(pubsub.RedisPubSubLoopLayer):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._shards: list[Any] = [_Connection(host, self) for host in decode_hosts(options.get("hosts"))]


class _Connection(pubsub.RedisSingleShardConnection):
    """To one Redis. As inherited, each message that it reads takes a timeout, and a turn of the event loop."""

    async def _do_receiving(self) -> None:
        while True:
            try:
                if self._pubsub and self._pubsub.subscribed:
                    # By this redis-py connects where it has to, and asks Redis for a sign of life where it is told to.
                    self._receive_message(await self._pubsub.get_message(ignore_subscribe_messages=True, timeout=0.1))
                    await self._read_on(self._pubsub)
                else:
                    await asyncio.sleep(0.1)
            except Exception:
                logger.exception("Could not receive from Redis, will try again")
                await asyncio.sleep(1)

    async def _read_on(self, pubsub: Any) -> None:
        """Receives for `READ_SECONDS`, or until the connection is lost."""
        with suppress(TimeoutError, RedisConnectionError):
            async with asyncio.timeout(READ_SECONDS):
                while True:
                    for _ in range(MAX_AT_ONCE):
                        match await pubsub.connection.read_response(**FOR_EVER):
                            case [b"message", channel, data]:
                                self._receive_message({"channel": channel, "data": data})
                            case other:
                                message = await pubsub.handle_message(other, ignore_subscribe_messages=True)
                                self._receive_message(message)
                    await asyncio.sleep(0)
