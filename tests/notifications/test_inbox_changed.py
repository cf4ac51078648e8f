import asyncio
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from channels.layers import get_channel_layer
from django.db import OperationalError
from pytest_django import Settings

from apps.notifications import delivery, subscriptions
from apps.notifications.changes import InboxChange
from apps.notifications.delivery import group_name, silent
from apps.notifications.kinds import Announcement
from apps.notifications.models import Inbox
from apps.notifications.services import anotify
from apps.notifications.subscriptions import aread_changes
from apps.profiles.services import profile_of
from tests.clients import Socket
from tests.conftest import ApiFor, SocketFor, User

FIELDS = "sequence unreadCount hasMore notifications { id sequence title readAt actor { displayName avatar { url } } }"
INBOX_CHANGED = f"subscription ($after: Int) {{ inboxChanged(after: $after) {{ {FIELDS} }} }}"
MARK_READ = "mutation ($ids: [ID!]!) { markNotificationsRead(ids: $ids) { ... on InboxUpdate { unreadCount } } }"


async def change(socket: Socket) -> Any:
    return (await socket.next())["inboxChanged"]


async def test_it_works(socket: SocketFor, alice: User, bob: User) -> None:
    client = await socket(alice)
    await client.subscribe(INBOX_CHANGED)
    assert await change(client) == {"sequence": 0, "unreadCount": 0, "hasMore": False, "notifications": []}

    await anotify([alice], Announcement("Hello"), actor=bob)

    event = await change(client)
    assert (event["sequence"], event["unreadCount"]) == (1, 1)
    [notification] = event["notifications"]
    assert notification["title"] == "Hello"
    assert notification["actor"] == {"displayName": "Bob", "avatar": None}


async def test_nobody_else_hears_of_it(socket: SocketFor, alice: User, bob: User) -> None:
    clients = {user: await socket(user) for user in (alice, bob)}
    for client in clients.values():
        await client.subscribe(INBOX_CHANGED)
        await change(client)

    await anotify([bob], Announcement("For Bob"))

    assert (await change(clients[bob]))["notifications"][0]["title"] == "For Bob"
    await anotify([alice], Announcement("For Alice"))
    assert (await change(clients[alice]))["notifications"][0]["title"] == "For Alice"


async def test_what_was_missed_comes_first(socket: SocketFor, alice: User, bob: User) -> None:
    for title in "abc":
        await anotify([alice], Announcement(title), actor=bob)
    client = await socket(alice)
    await client.subscribe(INBOX_CHANGED, after=1)
    missed = await change(client)
    assert [one["title"] for one in missed["notifications"]] == ["b", "c"]
    assert [one["actor"]["displayName"] for one in missed["notifications"]] == ["Bob", "Bob"]
    assert missed["sequence"] == 3


async def test_a_long_absence_comes_in_pages(socket: SocketFor, alice: User) -> None:
    for number in range(250):
        await anotify([alice], Announcement(str(number)))
    client = await socket(alice)
    await client.subscribe(INBOX_CHANGED, after=0)
    pages = [await change(client) for _ in range(3)]
    assert [page["hasMore"] for page in pages] == [True, True, False]
    titles = [one["title"] for page in pages for one in page["notifications"]]
    assert titles == [str(number) for number in range(250)]

    await anotify([alice], Announcement("live"))
    assert (await change(client))["notifications"][0]["title"] == "live"


async def test_a_page_of_the_inbox_and_the_subscription_meet(api: ApiFor, socket: SocketFor, alice: User) -> None:
    client = await api(alice)
    snapshot = (await client.data("{ notifications { sequence edges { node { id } } } }"))["notifications"]
    await anotify([alice], Announcement("in between"))
    live = await socket(alice)
    await live.subscribe(INBOX_CHANGED, after=snapshot["sequence"])
    assert [one["title"] for one in (await change(live))["notifications"]] == ["in between"]


async def test_reading_in_one_place_reaches_the_other(api: ApiFor, socket: SocketFor, alice: User) -> None:
    live = await socket(alice)
    await live.subscribe(INBOX_CHANGED)
    await change(live)
    await anotify([alice], Announcement("Hello"))
    [notification] = (await change(live))["notifications"]

    await (await api(alice)).data(MARK_READ, ids=[notification["id"]])

    event = await change(live)
    assert event["unreadCount"] == 0
    assert event["notifications"][0]["id"] == notification["id"]
    assert event["notifications"][0]["readAt"] is not None
    assert event["notifications"][0]["sequence"] == event["sequence"] == 2


async def test_many_changes_at_once_come_in_order_and_once(socket: SocketFor, alice: User) -> None:
    client = await socket(alice)
    await client.subscribe(INBOX_CHANGED)
    await change(client)
    await asyncio.gather(*(anotify([alice], Announcement(str(number))) for number in range(100)))
    numbers: list[int] = []
    position = 0
    while position < 100:
        event = await change(client)
        assert event["sequence"] > position
        position = event["sequence"]
        numbers += [one["sequence"] for one in event["notifications"]]
    assert numbers == list(range(1, 101))


async def test_what_the_channel_layer_loses_is_polled_for(
    socket: SocketFor, alice: User, monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    settings.NOTIFICATIONS_POLL_SECONDS = 0.1
    client = await socket(alice)
    await client.subscribe(INBOX_CHANGED)
    await change(client)

    async def lose(group: str, message: dict[str, Any]) -> None:
        pass

    monkeypatch.setattr(get_channel_layer(), "group_send", lose, raising=False)
    await anotify([alice], Announcement("lost on the way"))
    assert (await change(client))["notifications"][0]["title"] == "lost on the way"


async def test_what_is_loaded_in_silence_comes_with_the_next_change(socket: SocketFor, alice: User) -> None:
    client = await socket(alice)
    await client.subscribe(INBOX_CHANGED)
    await change(client)
    with silent():
        await anotify([alice], Announcement("loaded"))
    assert await client.receive_nothing()
    await anotify([alice], Announcement("live"))
    assert [one["title"] for one in (await change(client))["notifications"]] == ["loaded", "live"]


async def test_without_a_channel_layer_a_subscription_begins_and_goes_on(
    socket: SocketFor, alice: User, settings: Settings
) -> None:
    settings.NOTIFICATIONS_POLL_SECONDS = 0.1
    settings.CHANNEL_LAYERS = {
        "default": {
            "BACKEND": "apps.notifications.layers.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": ["redis://127.0.0.1:1"]},  # nobody listens there
        }
    }
    client = await socket(alice)
    await client.subscribe(INBOX_CHANGED)
    assert (await change(client))["sequence"] == 0
    await anotify([alice], Announcement("all the same"))
    assert (await change(client))["notifications"][0]["title"] == "all the same"


async def test_a_channel_layer_that_is_connected_and_silent_holds_nothing_up(
    socket: SocketFor, alice: User, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never_answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()  # until the other side gives up
        writer.close()

    monkeypatch.setattr(delivery, "LAYER_SECONDS", 0.1)
    settings.NOTIFICATIONS_POLL_SECONDS = 0.1
    async with await asyncio.start_server(never_answer, "127.0.0.1", 0) as silent_redis:
        port = silent_redis.sockets[0].getsockname()[1]
        settings.CHANNEL_LAYERS = {
            "default": {
                "BACKEND": "apps.notifications.layers.RedisPubSubChannelLayer",
                "CONFIG": {"hosts": [f"redis://127.0.0.1:{port}"]},
            }
        }
        client = await socket(alice)
        await client.subscribe(INBOX_CHANGED)
        assert (await change(client))["sequence"] == 0
        await anotify([alice], Announcement("all the same"))
        assert (await change(client))["notifications"][0]["title"] == "all the same"
        await client.disconnect()
        await get_channel_layer().flush()


async def test_two_subscriptions_on_one_socket(socket: SocketFor, alice: User) -> None:
    client = await socket(alice)
    for _ in range(2):
        await client.subscribe(INBOX_CHANGED)
        await change(client)
    await anotify([alice], Announcement("Hello"))
    assert [(await change(client))["sequence"] for _ in range(2)] == [1, 1]


async def test_an_ended_subscription_is_silent(socket: SocketFor, alice: User) -> None:
    client = await socket(alice)
    first = await client.subscribe(INBOX_CHANGED)
    await change(client)
    await client.send_json_to({"id": first, "type": "complete"})
    second = await client.subscribe(INBOX_CHANGED)
    await change(client)
    await anotify([alice], Announcement("Hello"))
    message = await client.receive_json_from()
    assert message["id"] == second
    assert await client.receive_nothing()


async def test_the_actor_s_new_picture_is_in_the_next_event(socket: SocketFor, alice: User, bob: User) -> None:
    client = await socket(alice)
    await client.subscribe(INBOX_CHANGED)
    await change(client)
    profile = await sync_to_async(profile_of)(bob)
    profile.avatar = "0" * 32
    await profile.asave()
    await anotify([alice], Announcement("Look"), actor=bob)
    [notification] = (await change(client))["notifications"]
    assert notification["actor"]["avatar"]["url"] == f"/media/avatars/{'0' * 32}/128.webp"


async def refusal(client: Socket, after: int) -> str:
    operation = await client.subscribe(INBOX_CHANGED, after=after)
    message = await client.receive_json_from()
    assert message["id"] == operation
    errors = message["payload"] if message["type"] == "error" else message["payload"]["errors"]
    return errors[0]["extensions"]["code"]


async def test_a_cursor_from_the_future_is_refused(socket: SocketFor, alice: User) -> None:
    assert await refusal(await socket(alice), after=1) == "BAD_CURSOR"


async def test_a_negative_cursor_is_refused(socket: SocketFor, alice: User) -> None:
    assert await refusal(await socket(alice), after=-1) == "BAD_CURSOR"


async def test_a_cursor_older_than_what_is_kept_is_refused(socket: SocketFor, alice: User) -> None:
    await Inbox.objects.filter(user=alice).aupdate(sequence=10, floor=5)
    assert await refusal(await socket(alice), after=4) == "CURSOR_EXPIRED"


@pytest.mark.parametrize("failing", [{1}, {2}, {1, 2, 4}], ids=["first", "a later one", "several"])
async def test_a_database_that_is_away_ends_no_subscription(
    failing: set[int], socket: SocketFor, alice: User, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.NOTIFICATIONS_POLL_SECONDS = 0.1
    for number in range(150):
        await anotify([alice], Announcement(str(number)))
    reads = 0

    async def read(user_id: int, after: int | None) -> InboxChange:
        nonlocal reads
        reads += 1
        if reads in failing:
            raise OperationalError("the server closed the connection unexpectedly")
        return await aread_changes(user_id, after)

    monkeypatch.setattr(subscriptions, "aread_changes", read)
    client = await socket(alice)
    await client.subscribe(INBOX_CHANGED, after=0)
    pages = [await change(client) for _ in range(2)]
    assert [page["sequence"] for page in pages] == [100, 150]
    assert reads > max(failing)


async def test_who_has_gone_is_no_longer_listened_for(socket: SocketFor, alice: User, settings: Settings) -> None:
    settings.NOTIFICATIONS_POLL_SECONDS = 0.1
    client = await socket(alice)
    await client.subscribe(INBOX_CHANGED)
    await change(client)

    def is_listened_for() -> bool:
        return any(name.endswith(group_name(alice.pk)) for name in get_channel_layer().groups)

    assert is_listened_for()
    await client.disconnect()
    async with asyncio.timeout(5):
        while is_listened_for():
            await asyncio.sleep(0.01)
    client = await socket(alice)
    await client.subscribe(INBOX_CHANGED)
    await change(client)
    await anotify([alice], Announcement("back again"))
    assert (await change(client))["notifications"][0]["title"] == "back again"
