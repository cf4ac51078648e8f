"""The schema as a whole: what is committed is what is served, and a visitor gets nothing out of it."""

from pathlib import Path
from typing import Any

import pytest
from graphql import GraphQLField, build_schema, get_named_type, is_leaf_type
from strawberry import relay

from apps.accounts.schema import Query as AccountsQuery
from config.schema import operations, schema
from tests.clients import Socket
from tests.conftest import ApiFor
from tests.site import crawler

SDL = Path(__file__).parent.parent.parent / "schema.graphql"
SERVED = build_schema(schema.as_str())
PUBLIC = {
    "me",
    "node",
    "signUp",
    "logIn",
    "authenticateMfa",
    "logOut",
    "verifyEmail",
    "requestEmailVerification",
    "requestPasswordReset",
    "resetPassword",
}


VALUES = crawler.VALUES | {"ID": f'"{relay.to_base64("Profile", 1)}"', "Upload": "null"}


def document(operation: str, name: str, field: GraphQLField) -> str:
    selection = "" if is_leaf_type(get_named_type(field.type)) else "{ __typename }"
    return f"{operation} {{ {crawler.call(name, field, VALUES)} {selection} }}"


def test_the_committed_schema_is_what_is_served() -> None:
    assert SDL.read_text().strip() == schema.as_str().strip(), "run `make schema`"


def test_each_app_s_schema_is_found() -> None:
    assert AccountsQuery in operations("Query")


FIELDS: list[Any] = [
    pytest.param(operation, name, field, id=name)
    for operation, root in (("query", SERVED.query_type), ("mutation", SERVED.mutation_type))
    if root
    for name, field in root.fields.items()
    if name not in PUBLIC
]


@pytest.mark.parametrize(("operation", "name", "field"), FIELDS)
async def test_a_visitor_is_refused(api: ApiFor, operation: str, name: str, field: GraphQLField) -> None:
    client = await api()
    query = document(operation, name, field)
    if "null" in query:  # a file can only be a variable
        answer = await client.upload(
            f"mutation ($image: Upload!) {{ {name}(input: {{ image: $image }}) {{ __typename }} }}", b"x"
        )
    else:
        answer = await client.ask(query)
    assert answer.codes == ["UNAUTHENTICATED"], answer.errors


async def test_a_visitor_s_socket_is_closed(transactional_db: None) -> None:
    socket = Socket({})
    assert (await socket.connect())[0]
    await socket.send_json_to({"type": "connection_init"})
    assert await socket.receive_output() == {"type": "websocket.close", "code": 4403, "reason": "Forbidden"}
    await socket.disconnect()
