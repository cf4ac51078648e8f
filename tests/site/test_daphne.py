"""The case that broke the best-known starter: notifications died once their actor had set an avatar.

Through a real Daphne process and a real WebSocket.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from asgiref.sync import sync_to_async
from django.conf import settings
from websockets import Subprotocol
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus

from apps.notifications.kinds import Announcement
from apps.notifications.services import anotify
from apps.profiles.services import aremove_avatar
from tests.clients import SUBPROTOCOL, session_cookies
from tests.conftest import User
from tests.pictures import encode, phone_jpeg, quadrants
from tests.processes import Server, manage

ACTOR = "displayName avatar { small: url(size: SMALL) medium: url large: url(size: LARGE) full: url(size: FULL) }"
INBOX_CHANGED = f"""subscription ($after: Int) {{
    inboxChanged(after: $after) {{ sequence unreadCount notifications {{ title actor {{ {ACTOR} }} }} }}
}}"""
SET_AVATAR = "mutation ($image: Upload!) { setAvatar(input: { image: $image }) { __typename } }"


# With Redis every event must come live. Without it, what another process wrote is polled for.
POLL = "3600" if settings.REDIS_URL else "0.2"


@pytest.fixture(scope="module")
def shared_server(start_shared_server: Callable[..., Server]) -> Server:
    return start_shared_server(NOTIFICATIONS_POLL_SECONDS=POLL)


@pytest.fixture
def server(server_of_module: Server) -> Server:
    return server_of_module


@pytest.fixture
def media(media_of_module: Path) -> Path:
    return media_of_module


@asynccontextmanager
async def subscribed(server: Server, user: User, after: int | None = None) -> AsyncIterator[ClientConnection]:
    """The user's socket on that server, subscribed; the first event, which says so, is still to be read."""
    cookies = await sync_to_async(session_cookies)(user)
    headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
    async with connect(
        server.websocket_url,
        origin=server.url,  # type: ignore[arg-type]
        subprotocols=[Subprotocol(SUBPROTOCOL)],
        additional_headers=headers,
    ) as socket:
        await socket.send(json.dumps({"type": "connection_init"}))
        assert json.loads(await socket.recv()) == {"type": "connection_ack"}
        payload = {"query": INBOX_CHANGED, "variables": {"after": after}}
        await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": payload}))
        yield socket


async def event(socket: ClientConnection) -> Any:
    async with asyncio.timeout(10):
        while (message := json.loads(await socket.recv())) == {"type": "ping"}:  # the machine is slow: is anyone there?
            await socket.send(json.dumps({"type": "pong"}))
    assert message["type"] == "next", message
    assert "errors" not in message["payload"], message
    return message["payload"]["data"]["inboxChanged"]


async def upload(server: Server, user: User, picture: bytes) -> None:
    """Sets the avatar as a browser does."""
    cookies = await sync_to_async(session_cookies)(user)
    async with httpx.AsyncClient(base_url=server.url, cookies=cookies) as client:
        await client.post("/graphql/")
        answer = await client.post(
            "/graphql/",
            headers={"X-CSRFToken": client.cookies["csrftoken"]},
            data={
                "operations": json.dumps({"query": SET_AVATAR, "variables": {"image": None}}),
                "map": json.dumps({"file": ["variables.image"]}),
            },
            files={"file": ("photo.jpg", picture)},
        )
    assert answer.json() == {"data": {"setAvatar": {"__typename": "Profile"}}}


async def no_avatar(server: Server, actor: User) -> None:
    pass


async def avatar_set(server: Server, actor: User) -> None:
    await upload(server, actor, phone_jpeg())


async def avatar_replaced(server: Server, actor: User) -> None:
    await upload(server, actor, phone_jpeg())
    await upload(server, actor, encode(quadrants(), "PNG"))


async def avatar_removed(server: Server, actor: User) -> None:
    await upload(server, actor, phone_jpeg())
    await aremove_avatar(actor)


@pytest.mark.parametrize("state", [no_avatar, avatar_set, avatar_replaced, avatar_removed])
async def test_it_works(state: Callable[..., Any], server: Server, alice: User, bob: User) -> None:
    async with subscribed(server, alice) as socket:
        await event(socket)
        await state(server, bob)
        for number, title in enumerate(["this", "the next"], start=1):
            await anotify([alice], Announcement(title), actor=bob)
            change = await event(socket)
            assert (change["sequence"], change["unreadCount"]) == (number, number)
            [notification] = change["notifications"]
            assert notification["title"] == title
            assert notification["actor"]["displayName"] == "Bob"
            avatar = notification["actor"]["avatar"]
            if state in (no_avatar, avatar_removed):
                assert avatar is None
            else:
                async with httpx.AsyncClient(base_url=server.url) as client:
                    for url in avatar.values():
                        assert (await client.get(url)).headers["Content-Type"] == "image/webp"


async def test_the_actor_s_account_is_deleted(server: Server, alice: User, bob: User) -> None:
    await upload(server, bob, phone_jpeg())
    async with subscribed(server, alice) as socket:
        await event(socket)
        await anotify([alice], Announcement("this"), actor=bob)
        [notification] = (await event(socket))["notifications"]
        assert notification["actor"]["avatar"] is not None

        await sync_to_async(bob.delete)()
        await anotify([alice], Announcement("the next"))

        [notification] = (await event(socket))["notifications"]
        assert (notification["title"], notification["actor"]) == ("the next", None)
    async with subscribed(server, alice, after=0) as socket:
        assert [one["actor"] for one in (await event(socket))["notifications"]] == [None, None]


async def test_two_processes_hear_what_a_third_one_writes(
    server: Server, start_server: Callable[..., Server], alice: User
) -> None:
    second = await sync_to_async(start_server)(NOTIFICATIONS_POLL_SECONDS=POLL)
    async with subscribed(server, alice) as one, subscribed(second, alice) as other:
        for socket in (one, other):
            await event(socket)
        await sync_to_async(manage)("notify", "--everyone", "--title", "Hear, hear")
        for socket in (one, other):
            assert (await event(socket))["notifications"][0]["title"] == "Hear, hear"


async def test_another_site_s_page_gets_no_socket(server: Server, alice: User) -> None:
    cookies = await sync_to_async(session_cookies)(alice)
    headers = {"Cookie": f"sessionid={cookies['sessionid']}"}
    for origin in ("https://evil.example", None):
        with pytest.raises(InvalidStatus) as refused:
            await connect(server.websocket_url, origin=origin, additional_headers=headers)  # type: ignore[arg-type]
        assert refused.value.response.status_code == 403
