"""A valid document is parsed and validated once, whoever sends it; what its variables ask for counts each time."""

from typing import Any

import pytest
from graphql import parse
from pytest_django import Settings

from apps.users.models import User
from config.graphql import limits
from config.graphql.documents import Documents
from tests.conftest import ApiFor, SocketFor

MINE = "query Mine { me { email } }"
PAGE = "query Page($first: Int) { a: notifications(first: $first) { edges { node { title body url kind } } } "
PAGE += (
    "".join(f"a{n}: notifications(first: $first) {{ edges {{ node {{ title body url kind }} }} }} " for n in range(19))
    + "}"
)


@pytest.fixture
def validated(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the operations that were validated, from a time when none had been."""
    names: list[str] = []
    validate = limits.validate

    def note(schema: Any, document: Any, *arguments: Any, **options: Any) -> Any:
        names.append(document.definitions[0].name.value)
        return validate(schema, document, *arguments, **options)

    monkeypatch.setattr(limits, "validate", note)
    monkeypatch.setattr(limits, "documents", Documents())
    return names


async def test_it_works(api: ApiFor, socket: SocketFor, alice: User, bob: User, validated: list[str]) -> None:
    for user in (alice, bob, alice):
        client = await api(user)
        assert (await client.ask(MINE)).data == {"me": {"email": user.email}}
    listener = await socket(bob)
    await listener.subscribe(MINE)
    assert await listener.next() == {"me": {"email": bob.email}}
    assert validated == ["Mine"]


async def test_what_is_refused_is_looked_at_each_time(api: ApiFor, alice: User, validated: list[str]) -> None:
    client = await api(alice)
    for _ in range(2):
        assert (await client.ask("query Wrong { nonsense }")).codes == ["GRAPHQL_VALIDATION_FAILED"]
    assert validated == ["Wrong", "Wrong"]


async def test_its_cost_is_that_of_these_variables(api: ApiFor, alice: User, validated: list[str]) -> None:
    client = await api(alice)
    assert (await client.ask(PAGE, first=1)).codes == []
    assert (await client.ask(PAGE, first=100)).codes == ["TOO_COMPLEX"]
    assert (await client.ask(PAGE, first=1)).codes == []
    assert validated == ["Page"]


TWO = "query Two($a: Int, $b: Int) { " + " ".join(
    f"{name}{n}: notifications(first: ${name}) {{ edges {{ node {{ id title body url kind }} }} }}"
    for name in "ab"
    for n in range(10)
) + " }"  # fmt: skip


async def test_its_cost_is_that_of_all_its_variables(api: ApiFor, alice: User) -> None:
    """Whatever they were when it was last measured. Without one, a page is as large as a page can be."""
    client = await api(alice)
    small, large = 1, 100
    for a, b in ((small, large), (large, small), (small, small), (small, large)):
        assert (await client.ask(TWO, a=a, b=b)).codes == []
        assert (await client.ask(TWO, a=large, b=large)).codes == ["TOO_COMPLEX"]
        assert (await client.ask(TWO, a=a)).codes == ([] if a == small else ["TOO_COMPLEX"])
    assert (await client.ask(TWO)).codes == ["TOO_COMPLEX"]


async def test_what_is_valid_in_development_is_not_so_in_production(
    api: ApiFor, settings: Settings, validated: list[str]
) -> None:
    client = await api()
    introspection = "query Schema { __schema { queryType { name } } }"
    settings.DEBUG = True
    assert (await client.ask(introspection)).codes == []
    settings.DEBUG = False
    assert set((await client.ask(introspection)).codes) == {"GRAPHQL_VALIDATION_FAILED"}


async def test_another_operation_of_the_same_document(api: ApiFor, alice: User, validated: list[str]) -> None:
    client = await api(alice)
    two = MINE + " query Count { unreadCount }"
    for name, data in (("Mine", {"me": {"email": alice.email}}), ("Count", {"unreadCount": 0})):
        answer = await client.post(
            "/graphql/", json={"query": two, "operationName": name}, headers=await client.csrf_headers()
        )
        assert answer.json() == {"data": data}
    assert (await client.ask(two)).codes == ["OPERATION_RESOLUTION_FAILURE"]
    assert validated == ["Mine"]


def test_those_that_were_used_last_are_kept() -> None:
    documents, texts = Documents(max_characters=20), ["{ first }", "{ second }", "{ third }"]
    for text in texts[:2]:
        documents.keep(text, None, parse(text), {})
    assert documents.find(texts[0], None)
    documents.keep(texts[2], None, parse(texts[2]), {})
    assert [bool(documents.find(text, None)) for text in texts] == [True, False, True]
    assert documents.find(texts[0], "other rules") is None


def test_one_that_is_too_large_is_not_kept() -> None:
    documents = Documents(max_characters=5)
    documents.keep("{ first }", None, parse("{ first }"), {})
    assert documents.find("{ first }", None) is None
    documents.keep("{ a }", None, parse("{ a }"), {})
    assert documents.find("{ a }", None)
