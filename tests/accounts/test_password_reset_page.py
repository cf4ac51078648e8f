import httpx
import pytest
from django.core import mail
from django.utils.http import int_to_base36
from pytest_django import Settings

from apps.users.models import User
from config.asgi import application
from tests.accounts.pages import mailed_link, submit
from tests.clients import Api
from tests.conftest import PASSWORD, ApiFor

RESET = "/accounts/password/reset/"
KEY = "/accounts/password/reset/key/"
NEW_PASSWORD = "staple battery horse"
ME = "{ me { email } }"
EVIL = "evil.example"


async def ask_for_mail(client: Api, email: str = "alice@example.com") -> httpx.Response:
    answer = await submit(client, RESET, email=email)
    assert answer.status_code == 302
    return answer


async def can_log_in(client: Api, password: str) -> bool:
    answer = await submit(client, "/accounts/login/", login="alice@example.com", password=password)
    return answer.status_code == 302


async def test_it_works(api: ApiFor, alice: User) -> None:
    client = await api()
    answer = await ask_for_mail(client)
    assert (await client.get(answer.headers["location"])).status_code == 200
    assert mail.outbox[0].to == ["alice@example.com"]

    elsewhere = await api()
    answer = await submit(elsewhere, mailed_link(KEY), password1=NEW_PASSWORD, password2=NEW_PASSWORD)
    assert answer.status_code == 302
    assert (await elsewhere.get(answer.headers["location"])).status_code == 200
    assert not await can_log_in(await api(), PASSWORD)
    assert await can_log_in(await api(), NEW_PASSWORD)


async def test_a_link_works_once(api: ApiFor, alice: User) -> None:
    await ask_for_mail(await api())
    link = mailed_link(KEY)
    await submit(await api(), link, password1=NEW_PASSWORD, password2=NEW_PASSWORD)

    again = await api()
    page = await again.get(link, follow_redirects=True)
    assert page.status_code == 200
    assert "password1" not in page.text
    form = {"password1": PASSWORD, "password2": PASSWORD}
    await again.post(page.url, data=form, headers=await again.csrf_headers())
    assert not await can_log_in(await api(), PASSWORD)
    assert await can_log_in(await api(), NEW_PASSWORD)


async def test_somebody_else_s_link_is_no_key_to_an_account(api: ApiFor, alice: User, bob: User) -> None:
    await ask_for_mail(await api(), "bob@example.com")
    bobs, alices = (f"{KEY}{int_to_base36(user.pk)}-" for user in (bob, alice))
    forged = mailed_link(KEY).replace(bobs, alices)
    assert forged != mailed_link(KEY)
    page = await (await api()).get(forged, follow_redirects=True)
    assert page.status_code == 200
    assert "password1" not in page.text


async def test_a_weak_password_is_refused(api: ApiFor, alice: User) -> None:
    await ask_for_mail(await api())
    answer = await submit(await api(), mailed_link(KEY), password1="password", password2="password")
    assert answer.status_code == 200
    assert await can_log_in(await api(), PASSWORD)


async def test_sessions_that_were_open_are_over(api: ApiFor, alice: User) -> None:
    thief = await api(alice)
    assert (await thief.data(ME))["me"]
    await ask_for_mail(await api())
    await submit(await api(), mailed_link(KEY), password1=NEW_PASSWORD, password2=NEW_PASSWORD)
    assert await thief.data(ME) == {"me": None}


async def test_an_unknown_address_is_not_told_apart(api: ApiFor, alice: User) -> None:
    strangers, owners = await api(), await api()
    unknown, known = await ask_for_mail(strangers, "nobody@example.com"), await ask_for_mail(owners)
    assert unknown.headers["location"] == known.headers["location"]
    assert sorted(unknown.headers) == sorted(known.headers)
    unknown_page = await strangers.get(unknown.headers["location"])
    known_page = await owners.get(known.headers["location"])
    assert unknown_page.text.replace("nobody@", "alice@") == known_page.text
    assert not any(KEY in str(message.body) for message in mail.outbox if message.to != ["alice@example.com"])


async def test_a_deactivated_user_gets_no_way_in(api: ApiFor, alice: User) -> None:
    await User.objects.filter(pk=alice.pk).aupdate(is_active=False)
    await ask_for_mail(await api())
    assert not any(KEY in str(message.body) for message in mail.outbox)


@pytest.mark.parametrize(
    "header",
    [{"Host": EVIL}, {"X-Forwarded-Host": EVIL}, {"X-Forwarded-Proto": "https"}, {"Forwarded": f"host={EVIL}"}],
)
async def test_the_link_is_on_this_site_whatever_the_headers_say(
    api: ApiFor, alice: User, settings: Settings, header: dict[str, str]
) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    settings.USE_X_FORWARDED_HOST = True
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    client = await api()
    client.headers.update(header)
    token = (await client.csrf_headers())["X-CSRFToken"]
    form = {"csrfmiddlewaretoken": token, "email": "alice@example.com"}
    answer = await client.post(RESET, data=form, headers={"Referer": "https://testserver/"})
    assert answer.status_code == 302, answer.text
    assert EVIL not in str(mail.outbox[0].message())
    link = mailed_link(KEY)
    assert (await submit(await api(), link, password1=NEW_PASSWORD, password2=NEW_PASSWORD)).status_code == 302


@pytest.mark.parametrize("root_path", [f"https://{EVIL}", f"//{EVIL}", "/elsewhere"])
async def test_the_link_is_on_this_site_whatever_the_root_path_says(alice: User, root_path: str) -> None:
    """Daphne takes `root_path` from the header `Daphne-Root-Path`, which anybody may send."""
    async with Api() as client:
        client._transport = httpx.ASGITransport(app=application, root_path=root_path)
        await ask_for_mail(client)
    assert EVIL not in str(mail.outbox[0].message())
    assert "/elsewhere" not in str(mail.outbox[0].message())
    mailed_link(KEY)


async def test_a_host_that_is_not_this_site_s_is_refused(api: ApiFor, alice: User) -> None:
    client = await api()
    assert (await client.get(RESET, headers={"Host": EVIL})).status_code == 400
