"""A WebSocket can't set a cookie, so what may change the session is refused there, by name."""

from typing import Any

import pytest

from apps.users.models import User
from tests.accounts import operations
from tests.conftest import PASSWORD, SocketFor

DOCUMENTS = {
    name: value
    for name, value in vars(operations).items()
    if isinstance(value, str) and value.startswith("mutation") and name != "END_SESSION"
}
VALUES: dict[str, Any] = {
    "email": "alice@example.com",
    "password": PASSWORD,
    "displayName": "Alice",
    "key": "x",
    "code": "000000",
    "currentPassword": PASSWORD,
    "newPassword": "staple correct horse",
}


async def test_it_works(socket: SocketFor, alice: User) -> None:
    client = await socket(alice)
    await client.subscribe(operations.LOG_OUT)
    assert await client.next() == {"logOut": {"messages": [{"field": None, "code": "http_only"}]}}
    await client.subscribe(operations.ME)
    assert (await client.receive_json_from())["type"] == "complete"
    assert (await client.next())["me"]["email"] == "alice@example.com"


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
async def test_each(socket: SocketFor, alice: User, document: str) -> None:
    client = await socket(alice)
    await client.subscribe(document, **{name: value for name, value in VALUES.items() if f"${name}:" in document})
    [answer] = (await client.next()).values()
    assert answer == {"messages": [{"field": None, "code": "http_only"}]}
    assert await User.objects.filter(pk=alice.pk).aexists()
