"""The limit for a Python ASGI server: the same statements and events, and nothing else. No framework, no GraphQL.

The JSON around an answer is ready-made, and an event is sent on as it came.
"""

import asyncio
import json
import os
from collections import defaultdict
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import SimpleCookie
from typing import Any

import redis.asyncio
from psycopg_pool import AsyncConnectionPool

USER = """SELECT u.id, u.email, p.display_name, p.avatar FROM usersessions_usersession s
    JOIN users_user u ON u.id = s.user_id JOIN profiles_profile p ON p.user_id = u.id WHERE s.session_key = %s"""
NOTIFICATIONS = """SELECT n.id, n.data->>'title', n.created_at, n.read_at, p.display_name, p.avatar
    FROM notifications_notification n LEFT JOIN profiles_profile p ON p.user_id = n.actor_id
    WHERE n.recipient_id = %s AND n.archived_at IS NULL ORDER BY n.id DESC LIMIT 20"""
UNREAD = "SELECT unread FROM notifications_inbox WHERE user_id = %s"

type Message = MutableMapping[str, Any]
type Send = Callable[[Message], Awaitable[None]]

pool = AsyncConnectionPool(os.environ["DATABASE_URL"], min_size=1, max_size=10, kwargs={"autocommit": True}, open=False)
sockets: defaultdict[str, set[Send]] = defaultdict(set)
"""Of each Redis channel."""


async def application(scope: Message, receive: Callable[[], Awaitable[Message]], send: Send) -> None:
    if scope["type"] == "lifespan":
        await pool.open()
        pubsub = redis.asyncio.Redis.from_url(os.environ["REDIS_URL"]).pubsub(ignore_subscribe_messages=True)
        await pubsub.psubscribe("user:*", "all*")
        task = asyncio.create_task(pass_on(pubsub))
        while (message := await receive())["type"]:
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                task.cancel()
                return
    cookies = SimpleCookie(dict(scope["headers"])[b"cookie"].decode())
    if scope["type"] == "http":
        while (await receive()).get("more_body"):
            pass
        body = await answer(cookies["sessionid"].value)
        headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})
    else:
        await subscribe(cookies["sessionid"].value, receive, send)


async def answer(session: str) -> bytes:
    async with pool.connection() as connection:
        [(pk, *me)] = await (await connection.execute(USER, (session,))).fetchall()
        notifications = await (await connection.execute(NOTIFICATIONS, (pk,))).fetchall()
        [(unread,)] = await (await connection.execute(UNREAD, (pk,))).fetchall()
    data = {
        "me": {"email": me[0], "profile": profile(*me[1:])},
        "notifications": [
            {
                "id": str(key),
                "title": title,
                "createdAt": created_at.isoformat(),
                "readAt": read_at and read_at.isoformat(),
                "actor": profile(*actor),
            }
            for key, title, created_at, read_at, *actor in notifications
        ],
        "unreadCount": unread,
    }
    return json.dumps({"data": data}, separators=(",", ":")).encode()


def profile(display_name: str, avatar: str) -> dict[str, str]:
    return {"displayName": display_name, "avatarUrl": f"/media/avatars/{avatar}/128.webp"}


async def subscribe(session: str, receive: Callable[[], Awaitable[Message]], send: Send) -> None:
    async with pool.connection() as connection:
        [(pk, *_)] = await (await connection.execute(USER, (session,))).fetchall()
    while (message := await receive())["type"] != "websocket.disconnect":
        if message["type"] == "websocket.connect":
            await send({"type": "websocket.accept", "subprotocol": "graphql-transport-ws"})
            continue
        match json.loads(message["text"])["type"]:
            case "connection_init":
                await send({"type": "websocket.send", "text": '{"type":"connection_ack"}'})
            case "ping":
                await send({"type": "websocket.send", "text": '{"type":"pong"}'})
            case "subscribe":
                sockets[f"user:{pk}"].add(send)
    sockets[f"user:{pk}"].discard(send)


async def pass_on(pubsub: Any) -> None:
    async for message in pubsub.listen():
        event, channel = message["data"].decode(), message["channel"].decode()
        text = f'{{"id":"1","type":"next","payload":{{"data":{{"notificationAdded":{event}}}}}}}'
        channels = list(sockets) if channel == "all" else [channel]
        for send in [send for one in channels for send in sockets.get(one, ())]:
            await send({"type": "websocket.send", "text": text})
