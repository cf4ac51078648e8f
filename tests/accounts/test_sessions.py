"""Where an account is signed in: list, end one, end all others."""

from datetime import timedelta
from typing import Any

import pytest
from allauth.usersessions.models import UserSession
from asgiref.sync import sync_to_async
from django.conf import settings
from django.utils import timezone

from apps.accounts import activity
from apps.accounts.models import Session
from apps.users.models import User
from tests.accounts.operations import (
    CHANGE_PASSWORD,
    END_OTHER_SESSIONS,
    END_SESSION,
    LOG_IN,
    LOG_OUT,
    ME,
    SESSIONS,
    ask,
)
from tests.clients import Api
from tests.conftest import PASSWORD, ApiFor, SocketFor

CREDENTIALS = {"email": "alice@example.com", "password": PASSWORD}
ACCEPTED = {"accepted": True}


@pytest.fixture(autouse=True)
def _nothing_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activity, "_noted", {})


async def signed_in(api: ApiFor, user_agent: str) -> Api:
    client = await api()
    client.headers["User-Agent"] = user_agent
    assert (await ask(client, LOG_IN, **CREDENTIALS))["isAuthenticated"]
    return client


async def session_id(client: Api) -> Any:
    """The id of the client's own session."""
    [current] = [session for session in await ask(client, SESSIONS) if session["isCurrent"]]
    return current["id"]


async def test_it_works(api: ApiFor, alice: User) -> None:
    phone, laptop = await signed_in(api, "Phone"), await signed_in(api, "Laptop")
    sessions = {session["userAgent"]: session for session in await ask(phone, SESSIONS)}
    assert set(sessions) == {"Phone", "Laptop"}
    assert sessions["Phone"]["isCurrent"]
    assert not sessions["Laptop"]["isCurrent"]
    assert sessions["Phone"]["ipAddress"] == "127.0.0.1"
    assert sessions["Phone"]["createdAt"] <= sessions["Phone"]["lastSeenAt"]

    assert await ask(phone, END_SESSION, id=sessions["Laptop"]["id"]) == ACCEPTED
    assert await ask(laptop, ME) is None
    assert [session["userAgent"] for session in await ask(phone, SESSIONS)] == ["Phone"]


async def test_all_others_at_once(api: ApiFor, alice: User, bob: User) -> None:
    here, there, elsewhere = await signed_in(api, "1"), await signed_in(api, "2"), await signed_in(api, "3")
    bobs = await api(bob)
    assert await ask(here, END_OTHER_SESSIONS) == ACCEPTED
    assert [await ask(client, ME) is None for client in (here, there, elsewhere, bobs)] == [False, True, True, False]
    assert await ask(here, END_OTHER_SESSIONS) == ACCEPTED


async def test_one_s_own_is_a_log_out(api: ApiFor, alice: User) -> None:
    client = await signed_in(api, "Phone")
    assert await ask(client, END_SESSION, id=await session_id(client)) == ACCEPTED
    assert await ask(client, ME) is None
    assert not await Session.objects.aexists()


async def test_somebody_else_s_is_left_alone(api: ApiFor, alice: User, bob: User) -> None:
    client, bobs = await signed_in(api, "Phone"), await api(bob)
    theirs = await session_id(bobs)
    assert await ask(client, END_SESSION, id=theirs) == ACCEPTED
    assert await ask(bobs, ME)
    assert await client.data("query ($id: ID!) { node(id: $id) { id } }", id=theirs) == {"node": None}


async def test_one_that_has_ended(api: ApiFor, alice: User) -> None:
    client, other = await signed_in(api, "Phone"), await signed_in(api, "Laptop")
    ended = await session_id(other)
    await ask(other, LOG_OUT)
    assert await ask(client, END_SESSION, id=ended) == ACCEPTED


async def test_ids_that_are_none(api: ApiFor, alice: User) -> None:
    client = await signed_in(api, "Phone")
    for wrong in ("", "x", (await client.data("{ me { id } }"))["me"]["id"]):
        assert (await client.ask(END_SESSION, id=wrong)).codes == ["BAD_USER_INPUT"]


async def test_node_finds_it(api: ApiFor, alice: User) -> None:
    client = await signed_in(api, "Phone")
    node = "query ($id: ID!) { node(id: $id) { ... on Session { userAgent isCurrent } } }"
    assert await ask(client, node, id=await session_id(client)) == {"userAgent": "Phone", "isCurrent": True}


async def test_what_ended_otherwise_is_not_listed(api: ApiFor, alice: User) -> None:
    here, _there = await signed_in(api, "Here"), await signed_in(api, "There")
    await ask(here, CHANGE_PASSWORD, currentPassword=PASSWORD, newPassword="staple correct horse")
    assert [session["userAgent"] for session in await ask(here, SESSIONS)] == ["Here"]


async def test_a_session_that_no_sign_in_noted(api: ApiFor, alice: User) -> None:
    """Made by a command, or before this application kept a list."""
    [session] = await ask(await api(alice), SESSIONS)
    assert session["isCurrent"]


async def test_last_seen_is_written_once_a_minute(
    api: ApiFor, alice: User, django_assert_num_queries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await signed_in(api, "Phone")

    async def age(**delta: int) -> None:
        monkeypatch.setattr(activity, "_noted", {})  # as another process
        await UserSession.objects.aupdate(last_seen_at=timezone.now() - timedelta(**delta))

    async def seen_now() -> bool:
        before = timezone.now() - timedelta(seconds=30)
        await client.get("/")
        return await UserSession.objects.filter(last_seen_at__gt=before).aexists()

    await age(seconds=55)
    assert not await seen_now()
    await age(seconds=65)
    assert await seen_now()
    await UserSession.objects.aupdate(last_seen_at=timezone.now() - timedelta(hours=1))
    assert not await seen_now()  # this process has just asked


async def test_over_a_websocket(socket: SocketFor, alice: User) -> None:
    client = await socket(alice)
    await client.subscribe("{ sessions { isCurrent } mfa { totpEnabled } emailAddresses { email } }")
    data = await client.next()
    assert data["mfa"] == {"totpEnabled": False}
    assert data["emailAddresses"] == [{"email": "alice@example.com"}]


async def test_a_visitor(api: ApiFor, alice: User) -> None:
    client = await api()
    theirs = await session_id(await api(alice))
    for document, variables in ((SESSIONS, {}), (END_SESSION, {"id": theirs}), (END_OTHER_SESSIONS, {})):
        assert (await client.ask(document, **variables)).codes == ["UNAUTHENTICATED"]
    assert settings.SESSION_COOKIE_NAME not in client.cookies


async def test_many_are_noted_at_once(api: ApiFor, alice: User, bob: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also the session of somebody who has been deleted meanwhile, and one that has ended."""
    written: list[None] = []
    monkeypatch.setattr(activity, "in_background", lambda work: written.append(None))
    clients = [await api(user) for user in (alice, alice, bob)]
    for client in [*clients, *clients]:
        await client.get("/")
    assert len(written) == 1
    kept, ended, _bobs = (client.cookies[settings.SESSION_COOKIE_NAME] for client in clients)
    await Session.objects.filter(pk=ended).adelete()
    await User.objects.filter(pk=bob.pk).adelete()
    await sync_to_async(activity._write)()
    assert [one.session_key async for one in UserSession.objects.all()] == [kept]
    assert not activity._unwritten


async def test_one_that_is_noted_while_others_are_taken_to_be_written(
    alice: User, api: ApiFor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the event loop, while a thread of the background writes: it is written too, or the next one says so."""
    first, second = [(await api(alice)).cookies[settings.SESSION_COOKIE_NAME] for _ in range(2)]
    seen = activity._Seen(timezone.now(), "127.0.0.1", "Phone")

    class Unwritten(dict[str, Any]):
        def __delitem__(self, key: str) -> None:
            self.setdefault(second, seen)
            super().__delitem__(key)

        def popitem(self) -> tuple[str, Any]:
            one = super().popitem()
            if one[0] == first:
                self[second] = seen
            return one

    monkeypatch.setattr(activity, "_unwritten", Unwritten({first: seen}))
    await sync_to_async(activity._write)()
    assert {one.session_key async for one in UserSession.objects.all()} == {first, second}
    assert not activity._unwritten
