from pathlib import Path

from allauth.account.models import EmailAddress
from allauth.usersessions.models import UserSession
from django.conf import settings

from apps.accounts.models import Device, Session
from apps.notifications.kinds import Announcement
from apps.notifications.models import Inbox, Notification
from apps.notifications.services import anotify
from apps.users.models import User
from tests.accounts.operations import DELETE_ACCOUNT, LOG_IN, ME, SIGN_UP, ask, refusals
from tests.accounts.pages import submit
from tests.clients import Api
from tests.conftest import PASSWORD, ApiFor
from tests.pictures import phone_jpeg

SET_AVATAR = "mutation ($image: Upload!) { setAvatar(input: { image: $image }) { __typename } }"
CREDENTIALS = {"email": "alice@example.com", "password": PASSWORD}


def files() -> list[Path]:
    return [path for path in Path(settings.MEDIA_ROOT).rglob("*") if path.is_file()]


async def signed_in(api: ApiFor) -> Api:
    client = await api()
    await ask(client, LOG_IN, **CREDENTIALS)
    return client


async def test_it_works(api: ApiFor, alice: User, bob: User) -> None:
    here, there, bobs = await signed_in(api), await signed_in(api), await api(bob)
    await here.upload(SET_AVATAR, phone_jpeg())
    await anotify([alice, bob], Announcement("Hello"), actor=alice)
    assert files()

    assert await ask(here, DELETE_ACCOUNT, password=PASSWORD) == {"accepted": True}

    assert await User.objects.aget() == bob
    assert [inbox.pk async for inbox in Inbox.objects.all()] == [bob.pk]
    assert [one.recipient_id async for one in Notification.objects.all()] == [bob.pk]
    assert not await Device.objects.aexists()
    assert not await UserSession.objects.exclude(user=bob).aexists()
    assert not await EmailAddress.objects.exclude(user=bob).aexists()
    assert files() == []
    assert await ask(here, ME) is None
    assert await ask(there, ME) is None
    assert await ask(bobs, ME)
    assert await Session.objects.acount() == 1
    assert await refusals(await api(), LOG_IN, **CREDENTIALS) == [(None, "invalid_credentials")]


async def test_the_address_is_free_again(api: ApiFor, alice: User) -> None:
    await ask(await signed_in(api), DELETE_ACCOUNT, password=PASSWORD)
    await ask(await api(), SIGN_UP, **CREDENTIALS)
    assert await User.objects.filter(email="alice@example.com").aexists()


async def test_it_needs_the_password(api: ApiFor, alice: User) -> None:
    client = await signed_in(api)
    for wrong, code in (("not it", "invalid_credentials"), ("", "required")):
        assert await refusals(client, DELETE_ACCOUNT, password=wrong) == [("password", code)]
    assert await ask(client, ME)


async def test_on_the_page(api: ApiFor, alice: User) -> None:
    client = await signed_in(api)
    answer = await submit(client, "/settings/delete/", password="not it")
    assert answer.status_code == 200
    assert "Incorrect password" in answer.text
    answer = await submit(client, "/settings/delete/", password=PASSWORD)
    assert answer.status_code == 302
    assert not await User.objects.aexists()
    assert "Your account is deleted." in (await client.get("/")).text


async def test_a_visitor(api: ApiFor, alice: User) -> None:
    client = await api()
    assert (await client.ask(DELETE_ACCOUNT, password=PASSWORD)).codes == ["UNAUTHENTICATED"]
    assert (await client.get("/settings/delete/")).status_code == 302
