import asyncio

from django.core import mail

from apps.users.models import User
from tests.accounts.pages import mailed_link, submit
from tests.conftest import PASSWORD, ApiFor

SIGN_UP = "/accounts/signup/"
CONFIRM = "/accounts/confirm-email/"
FORM = {"display_name": "Carol", "email": "carol@example.com", "password1": PASSWORD}
ME = "{ me { email emailVerified profile { displayName } } }"


async def test_it_works(api: ApiFor, transactional_db: None) -> None:
    client = await api()
    answer = await submit(client, SIGN_UP, **FORM)
    assert answer.status_code == 302
    assert (await client.get(answer.headers["location"])).status_code == 200
    assert await client.data(ME) == {"me": None}

    [message] = mail.outbox
    assert message.to == ["carol@example.com"]
    assert (await submit(client, mailed_link(CONFIRM))).status_code == 302

    elsewhere = await api()
    answer = await submit(elsewhere, "/accounts/login/", login="carol@example.com", password=PASSWORD)
    assert answer.status_code == 302
    assert answer.headers["location"] == "/"
    assert await elsewhere.data(ME) == {
        "me": {"email": "carol@example.com", "emailVerified": True, "profile": {"displayName": "Carol"}}
    }
    assert (await elsewhere.get("/")).status_code == 200


async def test_an_unverified_address_does_not_get_in(api: ApiFor, transactional_db: None) -> None:
    await submit(await api(), SIGN_UP, **FORM)
    client = await api()
    answer = await submit(client, "/accounts/login/", login="carol@example.com", password=PASSWORD)
    assert answer.headers["location"] == CONFIRM
    assert await client.data(ME) == {"me": None}


async def test_opening_the_link_is_not_enough(api: ApiFor, transactional_db: None) -> None:
    """Mail scanners open every link; only the button verifies."""
    await submit(await api(), SIGN_UP, **FORM)
    client = await api()
    assert (await client.get(mailed_link(CONFIRM))).status_code == 200
    await submit(client, "/accounts/login/", login="carol@example.com", password=PASSWORD)
    assert await client.data(ME) == {"me": None}


async def test_the_link_signs_nobody_in_elsewhere(api: ApiFor, transactional_db: None) -> None:
    await submit(await api(), SIGN_UP, **FORM)
    elsewhere = await api()
    assert (await submit(elsewhere, mailed_link(CONFIRM))).status_code == 302
    assert await elsewhere.data(ME) == {"me": None}


async def test_a_made_up_link_verifies_nothing(api: ApiFor, transactional_db: None) -> None:
    await submit(await api(), SIGN_UP, **FORM)
    client = await api()
    link = mailed_link(CONFIRM).rstrip("/")
    forged = link[:-1] + ("1" if link[-1] != "1" else "2") + "/"
    assert (await client.get(forged)).status_code < 500
    assert (await client.post(forged, headers=await client.csrf_headers())).status_code < 500
    await submit(client, "/accounts/login/", login="carol@example.com", password=PASSWORD)
    assert await client.data(ME) == {"me": None}


async def test_a_display_name_is_optional(api: ApiFor, transactional_db: None) -> None:
    assert (await submit(await api(), SIGN_UP, email="carol@example.com", password1=PASSWORD)).status_code == 302
    assert await User.objects.filter(email="carol@example.com", profile__display_name="").aexists()


async def test_an_address_is_kept_in_lower_case(api: ApiFor, transactional_db: None) -> None:
    await submit(await api(), SIGN_UP, **FORM | {"email": "Carol@Example.COM"})
    assert await User.objects.filter(email="carol@example.com").aexists()


async def test_an_address_that_has_an_account_is_not_told_apart(api: ApiFor, alice: User) -> None:
    """The same answer and page as for a new one; the owner gets a mail, in which is nothing to sign up with."""
    strangers, first = await api(), await api()
    new = await submit(first, SIGN_UP, **FORM)
    mail.outbox.clear()
    known = await submit(strangers, SIGN_UP, **FORM | {"email": "Alice@example.com"})

    assert (known.status_code, known.headers["location"]) == (new.status_code, new.headers["location"])
    assert sorted(known.headers) == sorted(new.headers)
    assert sorted(known.cookies) == sorted(new.cookies)
    new_page = await first.get(new.headers["location"])
    known_page = await strangers.get(known.headers["location"])
    assert known_page.text.lower().replace("alice@", "carol@") == new_page.text.lower()

    [message] = mail.outbox
    assert message.to == ["alice@example.com"]
    assert CONFIRM not in str(message.body)
    assert await User.objects.acount() == 2
    assert await strangers.data(ME) == {"me": None}
    owner = await api()
    answer = await submit(owner, "/accounts/login/", login="alice@example.com", password=PASSWORD)
    assert answer.status_code == 302
    assert (await owner.data(ME))["me"]["profile"]["displayName"] == "Alice"


async def test_signing_up_twice_at_once_makes_one_account(api: ApiFor, transactional_db: None) -> None:
    clients = [await api() for _ in range(4)]
    answers = await asyncio.gather(*(submit(client, SIGN_UP, **FORM) for client in clients))
    assert {(answer.status_code, answer.headers.get("location")) for answer in answers} == {(302, CONFIRM)}
    assert await User.objects.filter(email="carol@example.com").acount() == 1


async def test_a_weak_password_is_refused(api: ApiFor, transactional_db: None) -> None:
    client = await api()
    for password in ("short", "password", "1234567890", "carol@example.com"):
        answer = await submit(client, SIGN_UP, **FORM | {"password1": password})
        assert answer.status_code == 200, password
    assert not await User.objects.aexists()
    assert mail.outbox == []


async def test_a_display_name_that_can_t_be_kept_is_refused(api: ApiFor, transactional_db: None) -> None:
    client = await api()
    for name in ("x" * 81, "nul\x00"):
        assert (await submit(client, SIGN_UP, **FORM | {"display_name": name})).status_code == 200
    assert not await User.objects.aexists()


async def test_without_the_token_against_csrf(api: ApiFor, transactional_db: None) -> None:
    client = await api()
    await client.get(SIGN_UP)
    assert (await client.post(SIGN_UP, data=FORM)).status_code == 403
    assert not await User.objects.aexists()
