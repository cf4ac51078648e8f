"""The channel layer over Redis: many messages in one round trip, and nothing kept where Redis is away."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest
import redis.asyncio
import redis.connection
from django.conf import settings
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from apps.notifications.layers import MAX_AT_ONCE, RedisPubSubChannelLayer

needs_redis = pytest.mark.skipif(not settings.REDIS_URL, reason="REDIS_URL is not set")


@needs_redis
@pytest.mark.parametrize("with_loop", [True, False])
async def test_it_works(with_loop: bool) -> None:
    layer = RedisPubSubChannelLayer(hosts=[settings.REDIS_URL], prefix=uuid4().hex)
    channels = {group: await layer.new_channel() for group in ("one", "other")}
    for group, channel in channels.items():
        await layer.group_add(group, channel)
    messages = [(group, {"type": "test", "number": number}) for number in range(100) for group in (*channels, "nobody")]
    if with_loop:
        await layer.group_send_many(messages)
    else:
        await asyncio.to_thread(layer.group_send_many_now, messages, seconds=5)
    async with asyncio.timeout(5):
        for group, channel in channels.items():
            assert [await layer.receive(channel) for _ in range(100)] == [
                message for to, message in messages if to == group
            ]
    await layer.flush()


@needs_redis
@pytest.mark.parametrize("with_loop", [True, False])
async def test_a_thousand_messages_wait_for_few_answers(with_loop: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    layer = RedisPubSubChannelLayer(hosts=[settings.REDIS_URL], prefix=uuid4().hex)
    connection = redis.asyncio.connection.Connection if with_loop else redis.connection.Connection
    read_response = connection.read_response
    answers = 0

    def count(*arguments: Any, **options: Any) -> Any:
        nonlocal answers
        answers += 1
        return read_response(*arguments, **options)

    monkeypatch.setattr(connection, "read_response", count)
    messages = [("nobody", {"type": "test", "number": number}) for number in range(1_000)]
    if with_loop:
        await layer.group_send_many(messages)
    else:
        await asyncio.to_thread(layer.group_send_many_now, messages, seconds=5)
    assert answers <= 10
    await layer.flush()


@needs_redis
@pytest.mark.parametrize("protocol", [2, 3])
async def test_what_has_arrived_comes_together_and_not_too_much_of_it(protocol: int) -> None:
    host = {"address": settings.REDIS_URL, "protocol": protocol}
    layer = RedisPubSubChannelLayer(hosts=[host], prefix=uuid4().hex)
    channel = await layer.new_channel()
    await layer.group_add("one", channel)
    messages = [{"type": "test", "number": number} for number in range(1_000)]
    await asyncio.to_thread(layer.group_send_many_now, [("one", message) for message in messages], seconds=5)
    received: list[list[dict[str, object]]] = []
    async with asyncio.timeout(5):
        while sum(map(len, received)) < len(messages):
            received.append(await layer.receive_many(channel))
    assert [message for some in received for message in some] == messages
    assert max(map(len, received)) <= MAX_AT_ONCE
    assert len(received) <= 100  # by far not one at a time
    await layer.flush()


@needs_redis
async def test_a_connection_that_redis_closed_is_replaced() -> None:
    name = uuid4().hex
    layer = RedisPubSubChannelLayer(hosts=[{"address": settings.REDIS_URL, "client_name": name}], prefix=name)
    channel = await layer.new_channel()
    await layer.group_add("one", channel)

    received: list[int] = []

    async def receive() -> None:
        while True:
            received.append((await layer.receive(channel))["number"])

    async def send_until_received(number: int) -> None:
        async with asyncio.timeout(5):
            while number not in received:  # what is sent before it is connected again is lost
                await layer.group_send("one", {"type": "test", "number": number})
                await asyncio.wait([receiving], timeout=0.05)

    receiving = asyncio.create_task(receive())
    with Redis.from_url(settings.REDIS_URL) as administrator:
        for number in range(2):
            await send_until_received(number)
            of_layer = [client for client in administrator.client_list() if client["name"] == name]
            (receiver,) = [client for client in of_layer if client["sub"] != "0"]
            administrator.client_kill_filter(_id=receiver["id"])
    await send_until_received(2)
    receiving.cancel()
    await asyncio.wait([receiving])
    await layer.flush()


@needs_redis
def test_without_a_loop_the_connection_is_kept_and_replaced_where_redis_closed_it() -> None:
    layer = RedisPubSubChannelLayer(hosts=[settings.REDIS_URL], prefix=uuid4().hex)
    client = layer._client(layer._without_loop._shards[0], seconds=5)

    def send() -> int:
        layer.group_send_many_now([("nobody", {"type": "test"})], seconds=5)
        return client.client_id()

    first = send()
    assert send() == first
    with Redis.from_url(settings.REDIS_URL) as administrator:
        administrator.client_kill_filter(_id=first)
    assert send() != first
    client.close()


def test_by_way_of_sentinels_it_needs_a_loop() -> None:
    by_sentinels = {"master_name": "redis", "sentinels": [("127.0.0.1", 1)]}
    assert not RedisPubSubChannelLayer(hosts=[by_sentinels]).works_without_loop
    assert RedisPubSubChannelLayer(hosts=["redis://127.0.0.1:1"]).works_without_loop


async def test_where_redis_is_away_nothing_stays_behind() -> None:
    layer = RedisPubSubChannelLayer(hosts=["redis://127.0.0.1:1"])  # nobody listens there
    for _ in range(3):
        with pytest.raises(RedisConnectionError):
            await layer.new_channel()
    assert not layer.channels
    await layer.flush()
