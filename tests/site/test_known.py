"""What comes again is executed without Strawberry's hooks, and answered as the first time."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from strawberry.extensions import SchemaExtension

from apps.notifications.kinds import Announcement
from apps.notifications.services import anotify
from apps.users.models import User
from config.graphql import http, limits
from config.graphql.documents import Documents
from config.schema import schema
from tests.clients import Api
from tests.conftest import ApiFor

PAGE = "query Page($first: Int) { notifications(first: $first) { edges { node { title } } } }"
SEVERAL = "query One { unreadCount } query Two { me { email } } mutation Three { logOut { __typename } }"
SHAPES: dict[str, dict[str, Any]] = {
    "a field": {"query": "{ unreadCount }"},
    "fragments": {"query": "{ ...A } fragment A on Query { me { ...B } } fragment B on User { email }"},
    "variables": {"query": PAGE, "variables": {"first": 2}},
    "one of several": {"query": SEVERAL, "operationName": "Two"},
    "none of several": {"query": SEVERAL},
    "an unknown one": {"query": SEVERAL, "operationName": "Four"},
    "a name that is empty": {"query": SEVERAL, "operationName": ""},
    "a variable of another type": {"query": PAGE, "variables": {"first": "two"}},
    "an argument that is refused": {"query": PAGE, "variables": {"first": -1}},
    "a page that is too large": {"query": PAGE, "variables": {"first": 10**9}},
    "an unknown id": {"query": '{ node(id: "UHJvZmlsZTo5") { id } }'},
    "a directive": {
        "query": "query ($with: Boolean!) { me { email @include(if: $with) id } }",
        "variables": {"with": False},
    },
}


@pytest.fixture(autouse=True)
def documents(monkeypatch: pytest.MonkeyPatch) -> Documents:
    """None is known before."""
    documents = Documents()
    monkeypatch.setattr(limits, "documents", documents)
    return documents


@pytest.fixture
def hooked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What Strawberry was asked to execute."""
    asked: list[str] = []
    execute = type(schema).execute

    async def note(self: Any, query: str, *arguments: Any, **options: Any) -> Any:
        asked.append(query)
        return await execute(self, query, *arguments, **options)

    monkeypatch.setattr(type(schema), "execute", note)
    return asked


@pytest.fixture
async def client(api: ApiFor, alice: User) -> Api:
    for number in range(3):
        await anotify([alice], Announcement(title=f"News {number}"))
    return await api(alice)


async def ask(client: Api, **parameters: Any) -> Any:
    return (await client.post("/graphql/", json=parameters, headers=await client.csrf_headers())).json()


async def test_it_works(client: Api, hooked: list[str]) -> None:
    for _ in range(3):
        assert await ask(client, query="{ unreadCount }") == {"data": {"unreadCount": 3}}
    assert hooked == ["{ unreadCount }"]


@pytest.mark.parametrize("shape", SHAPES)
async def test_the_answer_is_the_same(client: Api, shape: str) -> None:
    first = await ask(client, **SHAPES[shape])
    for _ in range(2):
        assert await ask(client, **SHAPES[shape]) == first


async def test_larger_pages_are_measured_anew(client: Api, hooked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_COST", 20)
    for first, is_allowed in [(2, True), (1, True), (100, False), (2, True)]:
        answer = await ask(client, query=PAGE, variables={"first": first})
        assert ("errors" not in answer) is is_allowed
    assert len(hooked) == 2


async def test_a_mutation_goes_the_plain_way(client: Api, hooked: list[str]) -> None:
    mutation = "mutation { markAllNotificationsRead(upTo: 0) { __typename } }"
    for _ in range(3):
        assert "errors" not in await ask(client, query=mutation)
    assert hooked == [mutation] * 3


async def test_it_takes_too_long(client: Api, hooked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_SECONDS", 0)
    answers = [await ask(client, query="{ me { id } }") for _ in range(2)]
    assert len(hooked) == 1
    assert answers[0] == answers[1]
    assert [error["extensions"]["code"] for error in answers[1]["errors"]] == ["TIMEOUT"]


class Counting(SchemaExtension):
    executed = 0

    async def on_execute(self) -> AsyncIterator[None]:
        Counting.executed += 1
        yield

    def on_operation(self) -> Iterator[None]:
        yield


async def test_somebody_else_s_extension_sees_each(client: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http.schema, "extensions", [*schema.extensions, Counting])
    monkeypatch.setattr(Counting, "executed", 0)
    for _ in range(3):
        assert await ask(client, query="{ unreadCount }") == {"data": {"unreadCount": 3}}
    assert Counting.executed == 3
