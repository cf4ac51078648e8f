"""The channel layer over Redis: many messages in one round trip, and nothing kept where Redis is away."""

import asyncio
from uuid import uuid4

import pytest
from django.conf import settings
from redis.exceptions import ConnectionError as RedisConnectionError

from apps.notifications.layers import RedisPubSubChannelLayer

needs_redis = pytest.mark.skipif(not settings.REDIS_URL, reason="REDIS_URL is not set")


@needs_redis
async def test_it_works() -> None:
    layer = RedisPubSubChannelLayer(hosts=[settings.REDIS_URL], prefix=uuid4().hex)
    channels = {group: await layer.new_channel() for group in ("one", "other")}
    for group, channel in channels.items():
        await layer.group_add(group, channel)
    messages = [(group, {"type": "test", "number": number}) for number in range(100) for group in (*channels, "nobody")]
    await layer.group_send_many(messages)
    async with asyncio.timeout(5):
        for group, channel in channels.items():
            assert [await layer.receive(channel) for _ in range(100)] == [
                message for to, message in messages if to == group
            ]
    await layer.flush()


async def test_where_redis_is_away_nothing_stays_behind() -> None:
    layer = RedisPubSubChannelLayer(hosts=["redis://127.0.0.1:1"])  # nobody listens there
    for _ in range(3):
        with pytest.raises(RedisConnectionError):
            await layer.new_channel()
    assert not layer.channels
    await layer.flush()
