"""A subscription to which nothing happens for ten minutes lives, and then delivers.

With clocks a hundred times as fast: those of the channel layer by `idle_settings`, Daphne's by its options.
"""

import asyncio
from collections.abc import Callable

import httpx
import pytest
from asgiref.sync import sync_to_async
from django.conf import settings

from apps.notifications.kinds import Announcement
from apps.notifications.services import anotify
from tests.clients import session_cookies
from tests.conftest import User
from tests.processes import Server
from tests.site.test_daphne import event, subscribed

TEN_MINUTES = 600 / 100
MARK_ALL_READ = "mutation { markAllNotificationsRead(upTo: 1) { ... on InboxUpdate { unreadCount } } }"
# By the layer alone, without the poll; but the default Redis layer, which is not the one to use, may need it.
LAYERS = [("memory", "3600"), ("pubsub", "3600"), ("default", "0.2")]
needs_redis = pytest.mark.skipif(not settings.REDIS_URL, reason="needs REDIS_URL")


@pytest.mark.alone
@pytest.mark.parametrize(
    ("layer", "poll"),
    [pytest.param(layer, poll, marks=[] if layer == "memory" else needs_redis, id=layer) for layer, poll in LAYERS],
)
async def test_it_works(layer: str, poll: str, start_server: Callable[..., Server], alice: User) -> None:
    server = await sync_to_async(start_server)(
        "--ping-interval=1",
        "--ping-timeout=1",
        DJANGO_SETTINGS_MODULE="tests.site.idle_settings",
        LAYER=layer,
        NOTIFICATIONS_POLL_SECONDS=poll,
    )
    await anotify([alice], Announcement("Hello"))
    cookies = await sync_to_async(session_cookies)(alice)
    async with httpx.AsyncClient(base_url=server.url, cookies=cookies) as client, subscribed(server, alice) as socket:
        assert (await event(socket))["sequence"] == 1
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(TEN_MINUTES):
                await socket.recv()

        await client.post("/graphql/")
        headers = {"X-CSRFToken": client.cookies["csrftoken"]}
        await client.post("/graphql/", json={"query": MARK_ALL_READ}, headers=headers)

        change = await event(socket)
        assert (change["sequence"], change["unreadCount"]) == (2, 0)
