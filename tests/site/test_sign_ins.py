"""When a sign-in ends, the sockets that it opened are closed with 4403, and carry nothing after the close."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from channels.db import database_sync_to_async
from django.utils import timezone
from pytest_django import Settings

from apps.accounts.models import Session
from apps.notifications.kinds import Announcement
from apps.notifications.services import anotify
from tests.accounts.mailbox import RESET, mailed_key
from tests.accounts.operations import (
    CHANGE_PASSWORD,
    DELETE_ACCOUNT,
    END_OTHER_SESSIONS,
    END_SESSION,
    LOG_OUT,
    OUT,
    REQUEST_PASSWORD_RESET,
    RESET_PASSWORD,
    SESSIONS,
    ask,
)
from tests.clients import Api, Socket, session_cookies
from tests.conftest import PASSWORD, User

INBOX_CHANGED = "subscription { inboxChanged { sequence } }"


@pytest.fixture(autouse=True)
def _often(settings: Settings) -> None:
    settings.NOTIFICATIONS_POLL_SECONDS = 0.1


async def elsewhere(user: User) -> Api:
    """The user in a session of another device."""
    return Api(await database_sync_to_async(session_cookies)(user))


async def log_out(user: User, cookies: dict[str, str]) -> None:
    async with Api(cookies) as client:
        await ask(client, LOG_OUT)


async def end_session(user: User, cookies: dict[str, str]) -> None:
    async with Api(cookies) as client, await elsewhere(user) as other:
        [session] = await ask(client, SESSIONS)
        assert await ask(other, END_SESSION, id=session["id"]) == {"accepted": True}


async def end_other_sessions(user: User, cookies: dict[str, str]) -> None:
    async with Api(cookies) as client, await elsewhere(user) as other:
        assert await ask(client, SESSIONS)
        assert await ask(other, END_OTHER_SESSIONS) == {"accepted": True}


async def lose_session(user: User, cookies: dict[str, str]) -> None:
    await Session.objects.filter(pk__in=cookies.values()).adelete()


async def expire(user: User, cookies: dict[str, str]) -> None:
    yesterday = timezone.now() - timedelta(days=1)
    await Session.objects.filter(pk__in=cookies.values()).aupdate(expire_date=yesterday)


async def change_password(user: User, cookies: dict[str, str]) -> None:
    async with Api(cookies) as client:
        answer = await ask(client, CHANGE_PASSWORD, currentPassword=PASSWORD, newPassword="staple correct horse")
        assert answer["isAuthenticated"]


async def reset_password(user: User, cookies: dict[str, str]) -> None:
    async with Api() as client:
        await ask(client, REQUEST_PASSWORD_RESET, email=user.email)
        assert await ask(client, RESET_PASSWORD, key=mailed_key(RESET), password="staple correct horse") == OUT


async def deactivate(user: User, cookies: dict[str, str]) -> None:
    await User.objects.filter(pk=user.pk).aupdate(is_active=False)


async def delete(user: User, cookies: dict[str, str]) -> None:
    async with await elsewhere(user) as client:
        assert await ask(client, DELETE_ACCOUNT, password=PASSWORD) == {"accepted": True}


ENDINGS = [
    log_out,
    end_session,
    end_other_sessions,
    lose_session,
    expire,
    change_password,
    reset_password,
    deactivate,
    delete,
]


@pytest.mark.parametrize("ending", ENDINGS)
async def test_it_works(ending: Callable[[User, dict[str, str]], Awaitable[None]], alice: User) -> None:
    cookies = await database_sync_to_async(session_cookies)(alice)
    async with Socket(cookies) as socket:
        await socket.subscribe(INBOX_CHANGED)
        await socket.next()
        await ending(alice, cookies)
        while (output := await socket.receive_output())["type"] == "websocket.send":
            pass  # that the password was changed may be told before the close
        assert output == {"type": "websocket.close", "code": 4403, "reason": "Forbidden"}
        await anotify([alice], Announcement("too late"))
        assert await socket.receive_nothing()


async def test_another_session_goes_on(alice: User, bob: User) -> None:
    ended = await database_sync_to_async(session_cookies)(alice)
    async with Socket(ended) as one, Socket(await database_sync_to_async(session_cookies)(alice)) as other:
        await other.subscribe(INBOX_CHANGED)
        await other.next()
        await log_out(alice, ended)
        assert (await one.receive_output())["code"] == 4403
        await anotify([alice], Announcement("still here"))
        assert await other.next() == {"inboxChanged": {"sequence": 1}}
