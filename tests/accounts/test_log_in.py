import re

from allauth.account.models import EmailAddress
from django.conf import settings
from django.core import mail

from apps.accounts.models import Session
from apps.users.models import User
from tests.clients import Answer, Api
from tests.conftest import PASSWORD, ApiFor, SocketFor

LOG_IN = """
mutation ($email: String!, $password: String!) {
  logIn(input: {email: $email, password: $password}) {
    __typename
    ... on Authentication { isAuthenticated pending user { email emailVerified profile { displayName } } }
    ... on OperationInfo { messages { kind message field code } }
  }
}
"""
ME = "{ me { email } }"
WRONG = "not the password"


async def log_in(client: Api, email: str, password: str = PASSWORD) -> Answer:
    return await client.ask(LOG_IN, email=email, password=password)


async def codes(client: Api, email: str, password: str) -> list[str]:
    """The codes of the refusal."""
    return [message["code"] for message in (await log_in(client, email, password)).data["logIn"]["messages"]]


async def test_it_works(api: ApiFor, alice: User) -> None:
    client = await api()
    answer = await log_in(client, "alice@example.com")
    assert answer.data["logIn"] == {
        "__typename": "Authentication",
        "isAuthenticated": True,
        "pending": [],
        "user": {"email": "alice@example.com", "emailVerified": True, "profile": {"displayName": "Alice"}},
    }
    assert await client.data(ME) == {"me": {"email": "alice@example.com"}}
    assert (await client.get("/notifications/")).status_code == 200


async def test_the_session_s_cookie_is_out_of_a_script_s_reach(api: ApiFor, alice: User) -> None:
    answer = await log_in(await api(), "alice@example.com")
    [cookie] = [
        header
        for header in answer.response.headers.get_list("set-cookie")
        if header.startswith(f"{settings.SESSION_COOKIE_NAME}=")
    ]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie


async def test_a_session_from_before_is_not_kept(api: ApiFor, alice: User, bob: User) -> None:
    """Else whoever plants his own session in somebody's browser would be signed in with them."""
    client = await api()
    await log_in(client, "bob@example.com")
    before = client.cookies[settings.SESSION_COOKIE_NAME]
    await log_in(client, "alice@example.com")
    assert client.cookies[settings.SESSION_COOKIE_NAME] != before
    assert not await Session.objects.filter(session_key=before).aexists()
    assert await client.data(ME) == {"me": {"email": "alice@example.com"}}


async def test_the_token_against_csrf_is_a_new_one(api: ApiFor, alice: User) -> None:
    client = await api()
    before = await client.csrf_headers()
    await log_in(client, "alice@example.com")
    assert await client.csrf_headers() != before


async def test_an_address_is_the_same_in_any_case(api: ApiFor, alice: User) -> None:
    answer = await log_in(await api(), " Alice@EXAMPLE.com ")
    assert answer.data["logIn"]["isAuthenticated"] is True


async def test_a_second_address_once_it_is_verified(api: ApiFor, alice: User) -> None:
    await EmailAddress.objects.acreate(user=alice, email="second@example.com", verified=True)
    answer = await log_in(await api(), "second@example.com")
    assert answer.data["logIn"]["user"]["email"] == "alice@example.com"


async def test_a_wrong_password_and_an_unknown_address_are_told_alike(api: ApiFor, alice: User) -> None:
    client = await api()
    wrong = await log_in(client, "alice@example.com", WRONG)
    unknown = await log_in(client, "nobody@example.com", WRONG)
    assert wrong.data["logIn"]["__typename"] == "OperationInfo"
    [message] = wrong.data["logIn"]["messages"]
    assert message["code"] == "invalid_credentials"
    assert message["kind"] == "VALIDATION"
    assert message["field"] is None
    assert wrong.response.content == unknown.response.content
    assert sorted(wrong.response.headers) == sorted(unknown.response.headers)
    assert await client.data(ME) == {"me": None}


async def test_what_is_no_address_is_told_alike_too(api: ApiFor, alice: User) -> None:
    client = await api()
    for email, password in [("alice", PASSWORD), ("", PASSWORD), ("alice@example.com", "")]:
        assert await codes(client, email, password) == ["invalid_credentials"]


async def test_a_user_without_a_password_can_t(api: ApiFor, transactional_db: None) -> None:
    await User.objects.acreate(email="fixture@example.com", password="")
    assert await codes(await api(), "fixture@example.com", "") == ["invalid_credentials"]


async def test_an_address_that_is_not_verified(api: ApiFor, alice: User) -> None:
    await EmailAddress.objects.filter(user=alice).aupdate(verified=False)
    client = await api()
    answer = await log_in(client, "alice@example.com")
    assert answer.data["logIn"] == {
        "__typename": "Authentication",
        "isAuthenticated": False,
        "pending": ["VERIFY_EMAIL"],
        "user": None,
    }
    assert await client.data(ME) == {"me": None}
    [message] = mail.outbox
    assert message.to == ["alice@example.com"]
    assert re.search(rf"{re.escape(settings.SITE_URL)}/accounts/confirm-email/[^/\s]+/", str(message.body))


async def test_a_wrong_password_sends_no_mail(api: ApiFor, alice: User) -> None:
    await EmailAddress.objects.filter(user=alice).aupdate(verified=False)
    assert await codes(await api(), "alice@example.com", WRONG) == ["invalid_credentials"]
    assert mail.outbox == []


async def test_a_deactivated_user(api: ApiFor, alice: User) -> None:
    await User.objects.filter(pk=alice.pk).aupdate(is_active=False)
    client = await api()
    assert await codes(client, "alice@example.com", PASSWORD) == ["inactive"]
    assert await client.data(ME) == {"me": None}


async def test_who_is_deactivated_is_told_to_nobody_else(api: ApiFor, alice: User) -> None:
    await User.objects.filter(pk=alice.pk).aupdate(is_active=False)
    assert await codes(await api(), "alice@example.com", WRONG) == ["invalid_credentials"]


async def test_a_websocket_can_t_change_a_session(socket: SocketFor, alice: User, bob: User) -> None:
    client = await socket(bob)
    await client.subscribe(LOG_IN, email="alice@example.com", password=PASSWORD)
    answer = (await client.next())["logIn"]
    assert answer["__typename"] == "OperationInfo"
    assert [message["code"] for message in answer["messages"]] == ["http_only"]


async def test_too_many_failures(api: ApiFor, alice: User, bob: User) -> None:
    client = await api()
    for _ in range(5):
        assert await codes(client, "alice@example.com", WRONG) == ["invalid_credentials"]
    refused = await log_in(client, "alice@example.com", PASSWORD)
    assert refused.codes == ["RATE_LIMITED"]
    assert await client.data(ME) == {"me": None}
    assert (await log_in(client, "bob@example.com")).data["logIn"]["isAuthenticated"] is True


async def test_spelling_an_address_otherwise_gives_no_more_tries(api: ApiFor, alice: User) -> None:
    client = await api()
    spellings = [
        "alice@example.com",
        "Alice@example.com",
        "ALICE@example.com",
        "alice@EXAMPLE.com",
        " alice@example.com",
    ]
    for spelling in spellings:
        await codes(client, spelling, WRONG)
    assert (await log_in(client, "aLICE@example.com", WRONG)).codes == ["RATE_LIMITED"]


async def test_tries_at_unknown_addresses_are_counted_too(api: ApiFor, transactional_db: None) -> None:
    client = await api()
    for _ in range(5):
        await codes(client, "nobody@example.com", WRONG)
    assert (await log_in(client, "nobody@example.com", WRONG)).codes == ["RATE_LIMITED"]


async def test_many_addresses_from_one_place(api: ApiFor, alice: User) -> None:
    client = await api()
    for number in range(10):
        await codes(client, f"{number}@example.com", WRONG)
    assert (await log_in(client, "alice@example.com", PASSWORD)).codes == ["RATE_LIMITED"]


async def test_without_the_token_against_csrf(api: ApiFor, alice: User) -> None:
    client = await api()
    body = {"query": LOG_IN, "variables": {"email": "alice@example.com", "password": PASSWORD}}
    answer = await client.post("/graphql/", json=body)
    assert answer.status_code == 403
    assert Answer(answer).codes == ["FORBIDDEN"]
    assert await client.data(ME) == {"me": None}


async def test_with_somebody_else_s_token_against_csrf(api: ApiFor, alice: User) -> None:
    client, other = await api(), await api()
    await client.csrf_headers()
    body = {"query": LOG_IN, "variables": {"email": "alice@example.com", "password": PASSWORD}}
    answer = await client.post("/graphql/", json=body, headers=await other.csrf_headers())
    assert answer.status_code == 403
    assert Answer(answer).codes == ["FORBIDDEN"]
