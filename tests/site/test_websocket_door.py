import pytest
from asgiref.sync import sync_to_async
from django.utils import timezone
from pytest_django import Settings

from apps.accounts.models import Session
from tests.clients import Socket, session_cookies
from tests.conftest import SocketFor, User


async def test_it_works(socket: SocketFor, alice: User) -> None:
    client = await socket(alice)
    operation = await client.subscribe("{ me { email } }")
    assert await client.next() == {"me": {"email": "alice@example.com"}}
    assert await client.receive_json_from() == {"id": operation, "type": "complete"}


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "http://evil.testserver", "https://testserver", "null", None]
)
async def test_another_origin_is_refused(alice: User, origin: str | None) -> None:
    client = Socket(await sync_to_async(session_cookies)(alice), origin=origin)
    assert await client.connect() == (False, 1000)


async def test_there_is_one_address(alice: User) -> None:
    for path in ("/", "/graphql", "/graphql/graphql/", "/other/"):
        client = Socket(await sync_to_async(session_cookies)(alice))
        client.scope["path"] = path
        assert await client.connect() == (False, 1000)


async def test_a_session_from_before_a_new_secret_key(alice: User, settings: Settings) -> None:
    cookies = await sync_to_async(session_cookies)(alice)
    settings.SECRET_KEY, settings.SECRET_KEY_FALLBACKS = "k" * 60, [settings.SECRET_KEY]
    for _ in range(2):  # it stays as it is: nobody could tell the client the key of another one
        async with Socket(cookies) as client:
            await client.subscribe("{ me { email } }")
            assert await client.next() == {"me": {"email": "alice@example.com"}}
    settings.SECRET_KEY_FALLBACKS = []
    await refused(Socket(cookies))


async def test_a_session_that_signs_nobody_in(alice: User) -> None:
    cookies = await sync_to_async(session_cookies)(alice)
    await Session.objects.aupdate(expire_date=timezone.now())
    await refused(Socket(cookies))
    cookies = await sync_to_async(session_cookies)(alice)
    await User.objects.aupdate(password="another")
    await refused(Socket(cookies))
    await User.objects.aupdate(is_active=False)
    await refused(Socket(await sync_to_async(session_cookies)(await User.objects.aget())))
    await refused(Socket(dict.fromkeys(cookies, "never given")))
    await refused(Socket({}))


async def refused(client: Socket) -> None:
    assert await client.connect() == (True, "graphql-transport-ws")
    await client.send_json_to({"type": "connection_init"})
    assert (await client.receive_output())["code"] == 4403
    await client.disconnect()


async def test_the_host_header_decides_nothing(alice: User) -> None:
    client = Socket(await sync_to_async(session_cookies)(alice), origin="https://evil.example")
    client.scope["headers"] += [(b"host", b"evil.example"), (b"sec-fetch-site", b"same-origin")]
    assert (await client.connect())[0] is False


async def test_another_protocol_is_closed(alice: User) -> None:
    client = Socket(await sync_to_async(session_cookies)(alice))
    client.scope["subprotocols"] = ["graphql-ws"]  # the legacy one
    await client.connect()
    assert (await client.receive_output())["code"] == 4406
    await client.disconnect()


async def test_a_session_can_not_be_changed_here(socket: SocketFor, alice: User) -> None:
    client = await socket(alice)
    result = "{ __typename ... on OperationInfo { messages { code } } }"
    refused = {"__typename": "OperationInfo", "messages": [{"code": "http_only"}]}
    await client.subscribe(f"mutation {{ logOut {result} }}")
    assert await client.next() == {"logOut": refused}
    assert (await client.receive_json_from())["type"] == "complete"
    await client.subscribe(f'mutation {{ logIn(input: {{ email: "a@b.c", password: "x" }}) {result} }}')
    assert await client.next() == {"logIn": refused}


async def test_an_error_has_its_code_here_too(socket: SocketFor, alice: User) -> None:
    client = await socket(alice)
    await client.subscribe("{ nothing }")
    message = await client.receive_json_from()
    assert message["type"] == "error"
    assert message["payload"][0]["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"
