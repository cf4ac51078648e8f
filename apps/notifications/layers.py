"""The pub/sub layer of channels-redis, and what it lacks for an inbox: thousands of messages in one round trip."""

from collections import defaultdict
from collections.abc import Iterable
from functools import cached_property
from typing import Any
from uuid import uuid4

from channels_redis import pubsub
from channels_redis.utils import decode_hosts
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

type Messages = Iterable[tuple[str, dict[str, Any]]]  # groups, and what each is sent


class RedisPubSubChannelLayer(pubsub.RedisPubSubChannelLayer):
    """Its `group_send` waits for Redis to answer before the next may go; ten times slower than `group_send_many`."""

    def __init__(self, hosts: Iterable[Any] | None = None, **options: Any) -> None:
        # Without `driver_info` redis-py looks up its own version on the disk, on the event loop, for each connection.
        super().__init__(hosts=[{"driver_info": None} | host for host in decode_hosts(hosts)], **options)
        self._clients: dict[tuple[Any, float], Redis] = {}

    async def group_send_many(self, messages: Messages) -> None:
        """Sends each message to its group, in order, as `group_send` would."""
        for shard, published in self._by_shard(self._get_layer(), messages).items():
            async with shard._lock:
                shard._ensure_redis()
                async with shard._redis.pipeline(transaction=False) as pipeline:
                    for channel, message in published:
                        pipeline.publish(channel, message)
                    await pipeline.execute()

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
            with self._client(shard, seconds).pipeline(transaction=False) as pipeline:
                for channel, message in published:
                    pipeline.publish(channel, message)
                pipeline.execute()

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

    def _by_shard(self, layer: Any, messages: Messages) -> dict[Any, list[tuple[str, bytes]]]:
        by_shard = defaultdict(list)
        for group, message in messages:
            channel = layer._get_group_channel_name(group)
            by_shard[layer._get_shard(channel)].append((channel, self.serialize(message)))
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
