from django.conf import settings

from apps.accounts.models import Session
from apps.users.models import User
from tests.clients import Answer
from tests.conftest import ApiFor, SocketFor

LOG_OUT = """
mutation {
  logOut {
    __typename
    ... on Authentication { isAuthenticated pending user { email } }
    ... on OperationInfo { messages { code } }
  }
}
"""
NOBODY = {"__typename": "Authentication", "isAuthenticated": False, "pending": [], "user": None}
ME = "{ me { email } }"


async def test_it_works(api: ApiFor, alice: User) -> None:
    client = await api(alice)
    assert await client.data(ME) == {"me": {"email": "alice@example.com"}}
    assert await client.data(LOG_OUT) == {"logOut": NOBODY}
    assert await client.data(ME) == {"me": None}
    assert (await client.get("/notifications/")).status_code == 302


async def test_the_session_is_gone_and_not_only_its_cookie(api: ApiFor, alice: User) -> None:
    client, thief = await api(alice), await api()
    key = client.cookies[settings.SESSION_COOKIE_NAME]
    thief.cookies[settings.SESSION_COOKIE_NAME] = key
    await client.data(LOG_OUT)
    assert not await Session.objects.filter(session_key=key).aexists()
    assert await thief.data(ME) == {"me": None}


async def test_other_sessions_go_on(api: ApiFor, alice: User, bob: User) -> None:
    here, there, bobs = await api(alice), await api(alice), await api(bob)
    await here.data(LOG_OUT)
    assert await there.data(ME) == {"me": {"email": "alice@example.com"}}
    assert await bobs.data(ME) == {"me": {"email": "bob@example.com"}}


async def test_a_visitor_may_ask_for_it(api: ApiFor, transactional_db: None) -> None:
    assert await (await api()).data(LOG_OUT) == {"logOut": NOBODY}


async def test_a_websocket_can_t_change_a_session(socket: SocketFor, api: ApiFor, alice: User) -> None:
    client = await socket(alice)
    await client.subscribe(LOG_OUT)
    answer = (await client.next())["logOut"]
    assert answer == {"__typename": "OperationInfo", "messages": [{"code": "http_only"}]}


async def test_without_the_token_against_csrf(api: ApiFor, alice: User) -> None:
    client = await api(alice)
    answer = await client.post("/graphql/", json={"query": LOG_OUT})
    assert answer.status_code == 403
    assert Answer(answer).codes == ["FORBIDDEN"]
    assert await client.data(ME) == {"me": {"email": "alice@example.com"}}


async def test_another_site_s_link_can_t_do_it(api: ApiFor, alice: User) -> None:
    client = await api(alice)
    await client.get("/accounts/logout/")
    await client.get("/graphql/", params={"query": LOG_OUT})
    assert await client.data(ME) == {"me": {"email": "alice@example.com"}}
