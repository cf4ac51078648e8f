"""What a client may get wrong, each with what it is told: requests, documents, and arguments.

Each is asked for by both media types. By the older one, `application/json`, a request that could be read is answered
200, whatever is wrong with its document; by `application/graphql-response+json` a document that is refused is 400.
"""

import json
import re
import time
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from concurrent.futures import ThreadPoolExecutor, wait
from os import sysconf
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from django.conf import settings
from graphql import Lexer, Source, TokenKind, parse

from apps.notifications.kinds import Announcement
from apps.notifications.services import anotify
from apps.profiles.models import Profile
from apps.users.types import Text
from config.graphql.limits import (
    MAX_CHARACTERS,
    MAX_COST,
    MAX_DEPTH,
    MAX_FRAGMENTS,
    MAX_MUTATIONS,
    MAX_REPEATS,
    MAX_TOKENS,
)
from config.graphql.parameters import MAX_BYTES
from tests.clients import Api, session_cookies
from tests.conftest import PASSWORD, ApiFor, User
from tests.processes import Server

JSON = "application/json"
GRAPHQL_RESPONSE = "application/graphql-response+json"
ACCEPTED = [JSON, GRAPHQL_RESPONSE]
GOOD = b'{"query": "{ me { email } }"}'
MAX_ANSWER = 20_000
"""Bytes. What is refused must not cost more to say than it did to ask."""

NOT_FOR_CLIENTS = re.compile(
    r"Did you mean|(?i:traceback|python|django|strawberry|psycopg|sqlite|\bsql\b|exception)"
    r"|\b([A-Z]\w+Error|nan)\b|<class|object at 0x"
)
"""What helps to guess the schema, and words of whatever is behind it."""


async def test_it_works(api: ApiFor, alice: User) -> None:
    client = await api(alice)
    for accept in ACCEPTED:
        answer = await send(client, accept=accept)
        assert answer.status_code == 200
        assert answer.headers["Content-Type"] == f"{accept}; charset=utf-8"
        assert answer.json() == {"data": {"me": {"email": "alice@example.com"}}}


@pytest.fixture
async def client() -> AsyncIterator[Api]:
    """A visitor, without a database: what is refused asks none."""
    async with Api() as client:
        yield client


async def csrf_headers(client: httpx.AsyncClient) -> dict[str, str]:
    if settings.CSRF_COOKIE_NAME not in client.cookies:
        await client.get("/graphql/")
    return {"X-CSRFToken": client.cookies[settings.CSRF_COOKIE_NAME]}


async def send(
    client: httpx.AsyncClient,
    body: bytes = GOOD,
    method: str = "POST",
    *,
    token: bool = True,
    accept: str = JSON,
    headers: Mapping[str, str] = {},
) -> httpx.Response:
    """A request, mostly with the token against CSRF. A header that is empty is left out."""
    wanted = {"Accept": accept, "Content-Type": JSON, **(await csrf_headers(client) if token else {}), **headers}
    raw = [(name.encode(), value.encode("latin-1")) for name, value in wanted.items() if value]
    request = client.build_request(method, "/graphql/", content=body, headers=raw)
    for name, value in wanted.items():
        if not value:
            request.headers.pop(name, None)
    return await client.send(request)


def refused(answer: httpx.Response, code: str) -> None:
    """It is JSON with this one code, as if nothing had been executed, and tells nothing but what is wrong."""
    assert answer.headers["Content-Type"] in {f"{JSON}; charset=utf-8", f"{GRAPHQL_RESPONSE}; charset=utf-8"}
    body = answer.json()
    assert body.keys() == {"errors"}
    assert {error["extensions"]["code"] for error in body["errors"]} == {code}
    told_no_more(answer)


def told_no_more(answer: httpx.Response) -> None:
    assert len(answer.content) <= MAX_ANSWER
    for error in answer.json()["errors"]:
        assert error["message"]
        assert not NOT_FOR_CLIENTS.search(error["message"])
        assert error.keys() <= {"message", "locations", "path", "extensions"}
        assert error["extensions"].keys() == {"code"}


# ------------------------------------------------------------------------------------------------------------ requests


class Request(NamedTuple):
    """What is sent, and the status it is answered with."""

    status: int
    body: bytes = GOOD
    code: str = "BAD_USER_INPUT"
    method: str = "POST"
    headers: dict[str, str] = {}


def as_json(**parameters: Any) -> bytes:
    return json.dumps(parameters).encode()


def variables(text: bytes) -> bytes:
    return b'{"query": "{ __typename }", "variables": %s}' % text


def part(name: str, content: bytes, header: str = "") -> bytes:
    return b'--x\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n' % (
        name.encode(),
        header.encode(),
        content,
    )


def typed(content_type: str, body: bytes = GOOD, status: int = 415) -> Request:
    return Request(status, body, headers={"Content-Type": content_type})


MULTIPART = "multipart/form-data; boundary=x"
OPERATIONS = part("operations", GOOD) + part("map", b"{}") + b"--x--\r\n"
SEVERAL = "query A { __typename } query B { __typename }"

REQUESTS: dict[str, Request] = {
    "5,001 values": Request(400, json.dumps({"query": "{ __typename }", "variables": {"a": [0] * 5_001}}).encode()),
    # The body
    "no body": Request(400, b""),
    "a space": Request(400, b" "),
    "no JSON": Request(400, b"{ me { email } }"),
    "JSON that breaks off": Request(400, GOOD[:-1]),
    "JSON and more": Request(400, GOOD + b"}"),
    "JSON in single quotes": Request(400, b"{'query': '{ __typename }'}"),
    "JSON with a comma at its end": Request(400, b'{"query": "{ __typename }",}'),
    "JSON with a raw line break": Request(400, b'{"query": "{ __typename\n }"}'),
    "null": Request(400, b"null"),
    "a number": Request(400, b"1"),
    "a string": Request(400, b'"{ __typename }"'),
    "an empty object": Request(400, b"{}"),
    "an empty list": Request(400, b"[]"),
    "a batch": Request(400, b"[%s, %s]" % (GOOD, GOOD)),
    "a batch of one": Request(400, b"[%s]" % GOOD),
    "broken UTF-8": Request(400, b'{"query": "{ __typename } # \xe9"}'),
    "UTF-8 that breaks off": Request(400, b'{"query": "{ __typename } # \xe2\x82'),
    "half of a surrogate pair as UTF-8": Request(400, b'{"query": "{ __typename } # \xed\xa0\x80"}'),
    "UTF-16": Request(400, GOOD.decode().encode("utf-16")),
    "UTF-16 without its mark": Request(400, GOOD.decode().encode("utf-16-le")),
    "UTF-32": Request(400, GOOD.decode().encode("utf-32")),
    "a NUL": Request(400, GOOD + b"\0"),
    "NaN": Request(400, variables(b'{"a": NaN}')),
    "Infinity": Request(400, variables(b'{"a": Infinity}')),
    "minus Infinity": Request(400, variables(b'{"a": -Infinity}')),
    "a key twice": Request(400, b'{"query": "{ __typename }", "query": "{ me { id } }"}'),
    "a key twice, below": Request(400, variables(b'{"a": [{"b": 1, "b": 2}]}')),
    "100,000 lists in each other": Request(400, b"[" * 100_000),
    "as many that are closed": Request(400, variables(b"[" * 100_000 + b"]" * 100_000)),
    "40,000 objects in each other": Request(400, variables(b'{"a":' * 40_000 + b"1" + b"}" * 40_000)),
    "a number of 5,000 digits": Request(400, variables(b'{"a": %s}' % (b"9" * 5_000))),
    "a minus before 5,000 digits": Request(400, variables(b'{"a": -%s}' % (b"9" * 5_000))),
    # What is in it
    "no query": Request(400, b'{"variables": {}}'),
    "a query that is null": Request(400, as_json(query=None)),
    "a query that is a number": Request(400, as_json(query=1)),
    "a query that is true": Request(400, as_json(query=True)),
    "a query that is an object": Request(400, as_json(query={"query": "{ __typename }"})),
    "a query that is a list": Request(400, as_json(query=["{ __typename }"])),
    "a persisted query": Request(400, as_json(extensions={"persistedQuery": {"version": 1, "sha256Hash": "0" * 64}})),
    "variables that are a list": Request(400, variables(b"[]")),
    "variables that are a string": Request(400, variables(b'"{}"')),
    "variables that are a number": Request(400, variables(b"0")),
    "variables that are false": Request(400, variables(b"false")),
    "a name that is a number": Request(400, as_json(query=SEVERAL, operationName=1)),
    "a name that is a list": Request(400, as_json(query=SEVERAL, operationName=["A"])),
    "a name that is false": Request(400, as_json(query=SEVERAL, operationName=False)),
    "extensions that are a string": Request(400, as_json(query="{ __typename }", extensions="x")),
    "extensions that are a list": Request(400, as_json(query="{ __typename }", extensions=[])),
    # How much it is
    "more than a request may have": Request(413, variables(b'{"a": "%s"}' % (b"x" * MAX_BYTES))),
    "more than Django reads": Request(413, variables(b'{"a": "%s"}' % (b"x" * 3_000_000))),
    "more than is let in": Request(413, b"x" * (settings.MAX_BODY_BYTES + 1)),
    "more in a part": typed(MULTIPART, part("operations", b"x" * (MAX_BYTES + 1)) + part("map", b"{}"), 413),
    "more parts than Django reads": typed(MULTIPART, b"".join(part(f"a{n}", b"") for n in range(1_100)), 400),
    # What it says to be
    "no type": typed(""),
    "text": typed("text/plain"),
    "a form": typed("application/x-www-form-urlencoded", b"query=%7B__typename%7D"),
    "GraphQL": typed("application/graphql", b"{ __typename }"),
    "the type of an answer": typed(GRAPHQL_RESPONSE),
    "any type": typed("*/*"),
    "JSON for sure": typed("application/jsonx"),
    "a type of one word": typed("json"),
    "a type of 10,001 letters": typed(f"{JSON}; a={'x' * 10_001}"),
    "a type that is no ASCII": typed("\xff\xfe"),
    "JSON in Latin-1": typed(f"{JSON}; charset=latin-1"),
    "JSON in UTF-16": typed(f"{JSON}; charset=utf-16", GOOD.decode().encode("utf-16")),
    "JSON in hex": typed(f"{JSON}; charset=hex", GOOD.hex().encode()),
    "JSON in nothing": typed(f"{JSON}; charset=nothing"),
    "JSON in an encoding of nothing": typed(f"{JSON}; charset*=nothing''utf-8"),
    "JSON in a NUL": typed(f'{JSON}; charset="a\0b"'),
    "multipart without a boundary": typed("multipart/form-data", OPERATIONS, 400),
    "multipart without parts": typed(MULTIPART, b"--x--\r\n", 400),
    "multipart that is none": typed(MULTIPART, b"--x" * 1_000, 400),
    "multipart without a map": typed(MULTIPART, part("operations", GOOD) + b"--x--\r\n", 400),
    "multipart without operations": typed(MULTIPART, part("map", b"{}") + b"--x--\r\n", 400),
    "multipart of something else": typed("multipart/mixed; boundary=x", OPERATIONS),
    "multipart in hex": typed(f"{MULTIPART}; charset=hex", OPERATIONS),
    "multipart in rot13": typed(f"{MULTIPART}; charset=rot13", OPERATIONS),
    "multipart in idna": typed(f"{MULTIPART}; charset=idna", OPERATIONS),
    "operations that are a file": typed(
        MULTIPART, part("operations", GOOD, '; filename="a"') + part("map", b"{}"), 400
    ),
    # How it is sent
    "GET": Request(405, method="GET"),
    "PUT": Request(405, method="PUT"),
    "PATCH": Request(405, method="PATCH"),
    "DELETE": Request(405, method="DELETE"),
    "OPTIONS": Request(405, method="OPTIONS"),
    "a method that there is not": Request(405, method="FETCH"),
    "another token": Request(403, code="FORBIDDEN", headers={"X-CSRFToken": "x" * 32}),
    "no token": Request(403, code="FORBIDDEN", headers={"X-CSRFToken": ""}),
    "another site's page": Request(403, code="FORBIDDEN", headers={"Origin": "https://evil.example"}),
    "another host": Request(400, headers={"Host": "evil.example"}),
    "a host that is none": Request(400, headers={"Host": "a b"}),
    # What is asked for
    "a page, please": Request(406, headers={"Accept": "text/html"}),
    "XML or a page, please": Request(406, headers={"Accept": "application/xml, text/*;q=0.8"}),
    "anything but this": Request(406, headers={"Accept": "*/*;q=0"}),
    "neither of them": Request(406, headers={"Accept": f"{JSON};q=0, {GRAPHQL_RESPONSE};q=0.0"}),
    "no type at all": Request(406, headers={"Accept": "json"}),
}


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
async def test_a_request(client: Api, request_: Request) -> None:
    for accept in ACCEPTED:
        answer = await send(client, request_.body, request_.method, accept=accept, headers=request_.headers)
        assert answer.status_code == request_.status
        refused(answer, request_.code)


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
async def test_a_client_can_begin_with_it(client: Api, request_: Request) -> None:
    """Whatever else is wrong, it gets the cookie; mostly by being told that this is what is missing."""
    answer = await send(client, request_.body, request_.method, token=False, headers=request_.headers)
    assert answer.status_code in {request_.status, 403}
    refused(answer, "FORBIDDEN" if answer.status_code == 403 else request_.code)
    if "Host" not in request_.headers:  # what comes to another host is none of ours
        assert settings.CSRF_COOKIE_NAME in answer.cookies


async def test_requests_over_daphne(server: Server) -> None:
    """Which reads them before the application does."""
    wrong = {}
    async with httpx.AsyncClient(base_url=server.url, timeout=60) as client:
        for name, request in REQUESTS.items():
            if "\0" in request.headers.get("Content-Type", ""):  # which httpx can't send
                continue
            answer = await send(client, request.body, request.method, headers=request.headers)
            if answer.status_code != request.status or not answer.headers.get("Content-Type", "").startswith(JSON):
                wrong[name] = answer.status_code, answer.text
    assert wrong == {}


@pytest.mark.parametrize("key", ['"abcdefgh\\000"', "abcdefgh\xff", "x" * 5_000, '"', "%00%00%00%00%00%00"])
async def test_a_session_that_is_none(api: ApiFor, key: str) -> None:
    """Also one with a NUL, which PostgreSQL would not look for."""
    client = await api()
    headers = await csrf_headers(client)
    cookies = f"{settings.CSRF_COOKIE_NAME}={headers['X-CSRFToken']}; {settings.SESSION_COOKIE_NAME}={key}"
    answer = await send(client, headers=headers | {"Cookie": cookies})
    assert answer.json() == {"data": {"me": None}}


# ----------------------------------------------------------------------------------------------------------- documents


class Document(NamedTuple):
    """What is asked for, and the code it is refused with."""

    code: str
    query: str
    variables: dict[str, Any] | bytes = {}
    """As JSON, where they are bytes."""
    name: str | None = None

    @property
    def body(self) -> bytes:
        raw = self.variables if isinstance(self.variables, bytes) else json.dumps(self.variables).encode()
        parameters = as_json(query=self.query, operationName=self.name)
        return parameters[:-1] + b', "variables": ' + raw + b"}"


def unparsed(query: str) -> Document:
    return Document("GRAPHQL_PARSE_FAILED", query)


def invalid(query: str, **variables: Any) -> Document:
    return Document("GRAPHQL_VALIDATION_FAILED", query, variables)


def too_complex(query: str, **variables: Any) -> Document:
    return Document("TOO_COMPLEX", query, variables)


def unresolved(query: str, name: str | None = None) -> Document:
    return Document("OPERATION_RESOLUTION_FAILURE", query, name=name)


def bad_variables(query: str, **variables: Any) -> Document:
    return Document("BAD_USER_INPUT", query, variables)


def bad_json(query: str, raw: bytes) -> Document:
    return Document("BAD_USER_INPUT", query, raw)


def nested(levels: int) -> str:
    return "{ a " * levels + "}" * levels


def repeated(times: int, field: str) -> str:
    return " ".join(f"a{number}: {field}" for number in range(times))


def doubling(levels: int, fields: str = "id") -> str:
    """A fragment that spreads another twice, and so on: as many fields in the end as a chessboard has grains."""
    fragments = [f"fragment F{level} on User {{ ...F{level + 1} ...F{level + 1} }}" for level in range(levels)]
    return f"{{ me {{ ...F0 }} }} {' '.join(fragments)} fragment F{levels} on User {{ {fields} }}"


def nested_doubling(levels: int) -> str:
    """The same with fields between, of other names: nothing can be merged."""
    body = "fragment F{0} on User {{ a: profile {{ ...F{1} }} b: profile {{ ...F{1} }} }}"
    fragments = [body.format(level, level + 1) for level in range(levels)]
    return f"{{ me {{ ...F0 }} }} {' '.join(fragments)} fragment F{levels} on User {{ id }}"


def same_fields(width: int, levels: int) -> str:
    """The same fields over and over in each other, which execution merges, and validation compares each with each."""
    return f"me {{ {same_fields(width, levels - 1)} }} " * width if levels else "id"


def page(fields: int, first: str) -> str:
    """Notifications of that size, with so many fields each."""
    return (
        f"notifications{first} {{ edges {{ node {{ {' '.join(f'a{n}: {NAMES[n % 10]}' for n in range(fields))} }} }} }}"
    )


NAMES = ["id", "sequence", "kind", "data", "createdAt", "readAt", "archivedAt", "title", "body", "url"]
UPDATE = "mutation ($input: UpdateProfileInput!) { updateProfile(input: $input) { __typename } }"
MARK = "mutation ($ids: [ID!]!) { markNotificationsRead(ids: $ids) { __typename } }"
PAGE = (
    "query ($first: Int, $state: NotificationState! = ALL) { notifications(first: $first, state: $state) { sequence } }"
)
AVATAR = "mutation ($input: SetAvatarInput!) { setAvatar(input: $input) { __typename } }"

DOCUMENTS: dict[str, Document] = {
    # Not a document
    "empty": unparsed(""),
    "white space": unparsed(" \n\t,"),
    "a comment": unparsed("# { __typename }"),
    "a byte order mark": unparsed("\ufeff"),
    "a bracket": unparsed("{"),
    "a bracket too many": unparsed("{ __typename } }"),
    "arguments that are none": unparsed("{ me() { id } }"),
    "a word": unparsed("me"),
    "an operation that there is not": unparsed("ask { me { id } }"),
    "a NUL in the document": unparsed("{ __typename }\0"),
    "half of a surrogate pair in the document": unparsed("{ __typename } # \ud800"),
    "half of a surrogate pair in a string": unparsed('{ notifications(after: "\\ud800") { sequence } }'),
    "a letter that is no ASCII": unparsed("{ mé }"),
    "a string that does not end": unparsed('{ notifications(after: "' + "x" * 60_000),
    "a number with a zero before it": unparsed("{ notifications(first: 01) { sequence } }"),
    "a fragment named on": unparsed("fragment on on User { id } { me { ...on } }"),
    "a variable in a default": unparsed("query ($a: Int, $b: Int = $a) { notifications(first: $b) { sequence } }"),
    # Which operation
    "no operation": unresolved("fragment F on Query { __typename }"),
    "a type": unresolved("type A { a: Int }"),
    "several operations": unresolved(SEVERAL),
    "a mutation behind a query": unresolved("query A { __typename } mutation B { logOut { __typename } }"),
    "no operation of that name": unresolved(SEVERAL, "C"),
    "no operation of that name, of one": unresolved("{ __typename }", "A"),
    "an empty name": unresolved(SEVERAL, ""),
    "a name that is no name": unresolved(SEVERAL, "A\0\ud800"),
    "a long name": unresolved(SEVERAL, "A" * 100_000),
    "a subscription": unresolved("subscription { inboxChanged { sequence } }"),
    "a subscription by its name": unresolved(
        "query A { __typename } subscription B { inboxChanged { sequence } }", "B"
    ),
    # What the schema does not have
    "an unknown field": invalid("{ mee { id } }"),
    "an unknown field below": invalid("{ me { emial } }"),
    "a field of another type": invalid("{ node(id: 1) { title } }"),
    "an unknown argument": invalid("{ notifications(frist: 1) { sequence } }"),
    "an unknown argument of a directive": invalid("{ __typename @include(iff: true) }"),
    "an unknown type": invalid("{ node(id: 1) { ... on Notifcation { id } } }"),
    "an unknown type of a variable": invalid("query ($a: Strin) { notifications(after: $a) { sequence } }"),
    "an unknown fragment": invalid("{ me { ...Nothing } }"),
    "an unknown directive": invalid("{ __typename @defre }"),
    "@defer": invalid("{ ... @defer { __typename } }"),
    "@stream": invalid("{ sessions @stream { id } }"),
    "a directive of the schema": invalid("{ __typename @deprecated }"),
    "a directive in another place": invalid("query @skip(if: true) { __typename }"),
    "an unknown value of an enum": invalid("{ notifications(state: UNRAED) { sequence } }"),
    "an unknown field of an input": invalid('mutation { updateProfile(input: { boi: "x" }) { __typename } }'),
    "a subscription in a query": invalid("{ inboxChanged { sequence } }"),
    "a mutation in a query": invalid("{ logOut { __typename } }"),
    "a fragment of another root": invalid("{ ...F } fragment F on Mutation { logOut { __typename } }"),
    "a type beside an operation": invalid("{ __typename } type A { a: Int }"),
    "the schema": invalid("{ __schema { types { name } } }"),
    "a type of it": invalid('{ __type(name: "User") { fields { name } } }'),
    "the schema in a fragment": invalid("{ ...F } fragment F on Query { a: __schema { queryType { name } } }"),
    "the schema in a mutation": invalid("mutation { __schema { types { name } } }"),
    # What does not fit
    "an object without its fields": invalid("{ me }"),
    "a text with fields": invalid("{ me { email { id } } }"),
    "an argument twice": invalid("{ notifications(first: 1, first: 1) { sequence } }"),
    "a required argument missing": invalid("{ node { id } }"),
    "a required field missing": invalid("mutation { logIn(input: {}) { __typename } }"),
    "null for what is required": invalid("{ node(id: null) { id } }"),
    "null in a list": invalid("mutation { markNotificationsRead(ids: [null]) { __typename } }"),
    "a text for a number": invalid('{ notifications(first: "1") { sequence } }'),
    "a float for a number": invalid("{ notifications(first: 1.0) { sequence } }"),
    "a number of 33 bits": invalid("{ notifications(first: 2147483648) { sequence } }"),
    "a number of 33 bits below zero": invalid("{ inbox(after: -2147483649) { sequence } }"),
    "a number of 400 digits": invalid(f"{{ inbox(after: {'9' * 400}) {{ sequence }} }}"),
    "a number of 60,000 digits": invalid(f"{{ inbox(after: {'9' * 60_000}) {{ sequence }} }}"),
    "as many in a list": invalid(f"{{ inbox(after: [{'9' * 60_000}]) {{ sequence }} }}"),
    "as many of a float": invalid(f"{{ inbox(after: {'9' * 60_000}.5e9) {{ sequence }} }}"),
    "as many as a default": invalid(f"query ($a: Int = {'9' * 60_000}) {{ inbox(after: $a) {{ sequence }} }}"),
    "a long text for a number": invalid(f'{{ inbox(after: "{"x" * 60_000}") {{ sequence }} }}'),
    "a number for a text": invalid("{ notifications(after: 1) { sequence } }"),
    "a text for an enum": invalid('{ notifications(state: "ALL") { sequence } }'),
    "an object for a text": invalid("{ notifications(after: { a: 1 }) { sequence } }"),
    "a list for an object": invalid("mutation { updateProfile(input: []) { __typename } }"),
    "a text for an object": invalid('mutation { updateProfile(input: "x") { __typename } }'),
    "600 unknown fields of an input": invalid(
        f"mutation {{ updateProfile(input: {{ {' '.join(f'a{n}: 1' for n in range(600))} }}) {{ __typename }} }}"
    ),
    "unknown fields beside a long text": invalid(
        f'mutation {{ updateProfile(input: {{ a: 1, b: 2, c: 3, bio: "{"x" * 60_000}" }}) {{ __typename }} }}'
    ),
    "a field of an input 300 times": invalid(
        f"mutation {{ updateProfile(input: {{ {'bio: null ' * 300} }}) {{ __typename }} }}"
    ),
    "500 unknown fields": invalid(f"{{ {' '.join(f'email{n}' for n in range(500))} }}"),
    "a field of 60,000 letters": invalid(f"{{ {'x' * 60_000} }}"),
    "a variable that is not declared": invalid("{ notifications(first: $first) { sequence } }"),
    "a variable that is not used": invalid("query ($first: Int) { __typename }"),
    "a variable twice": invalid("query ($a: Int, $a: Int) { inbox(after: $a) { sequence } }"),
    "a variable of an output": invalid("query ($a: User) { inbox(after: $a) { sequence } }"),
    "a variable of another type": invalid("query ($a: String) { inbox(after: $a) { sequence } }", a="1"),
    "a variable that may be null": invalid("query ($a: ID) { node(id: $a) { id } }", a="1"),
    "a variable for a list": invalid("mutation ($a: ID!) { markNotificationsRead(ids: $a) { __typename } }", a="1"),
    "a variable in lists": invalid(f"query ($a: {'[' * 100}Int{']' * 100}) {{ inbox(after: $a) {{ sequence }} }}"),
    "480 variables": invalid(f"query ({' '.join(f'$a{n}: Int' for n in range(480))}) {{ __typename }}"),
    "a fragment that is not used": invalid("{ __typename } fragment F on User { id }"),
    "a fragment twice": invalid("{ me { ...F } } fragment F on User { id } fragment F on User { email }"),
    "a fragment in itself": invalid("{ me { ...F } } fragment F on User { ...F }"),
    "fragments in a circle": invalid(
        "{ me { ...A } } fragment A on User { ...B } fragment B on User { ...C } fragment C on User { ...A }"
    ),
    "a fragment of a text": invalid("{ me { ... on String { id } } }"),
    "a fragment that never is": invalid("{ me { ... on Profile { id } } }"),
    "two operations of one name": invalid("query A { __typename } query A { __typename }")._replace(name="A"),
    "one without a name": invalid("{ __typename } query A { __typename }")._replace(name="A"),
    "one name for two fields": invalid("{ me { a: id a: email } }"),
    "one name with two arguments": invalid(
        "{ notifications(first: 1) { sequence } notifications(first: 2) { sequence } }"
    ),
    "one name for two fields, below": invalid("{ me { profile { a: id } } me { profile { a: bio } } }"),
    "one name for two fields, in fragments": invalid(
        "{ me { ...A ...B } } fragment A on User { a: id } fragment B on User { a: email }"
    ),
    "a directive 250 times": invalid(f"{{ __typename {'@include(if: true) ' * 250} }}"),
    "an unknown directive 900 times": invalid(f"{{ __typename {'@a ' * 900} }}"),
    "as deep as is allowed, of what there is not": invalid(nested(MAX_DEPTH - 1).replace("a }", "a { b } }", 1)),
    # Too much
    "20,000 directives": too_complex(f"{{ __typename {'@a ' * 20_000} }}"),
    "10,000 aliases": too_complex(f"{{ {repeated(10_000, '__typename')} }}"),
    "more aliases than are allowed": too_complex(f"{{ {repeated(MAX_REPEATS + 1, '__typename')} }}"),
    "more aliases below": too_complex(f"{{ me {{ {repeated(MAX_REPEATS + 1, 'id')} }} }}"),
    "more aliases, some in a fragment": too_complex(
        f"{{ me {{ {repeated(MAX_REPEATS, 'id')} ...F }} }} fragment F on User {{ a: id }}"
    ),
    "more aliases in inline fragments": too_complex(
        f"{{ {' '.join(f'... {{ a{n}: __typename }}' for n in range(MAX_REPEATS + 1))} }}"
    ),
    "one field after the other": too_complex(f"{{ me {{ {'id ' * 1_990} }} }}"),
    "one field over and over": too_complex(f"{{ {'me { id } ' * (MAX_REPEATS + 1)} }}"),
    "ten by ten by ten by ten of the same": too_complex(f"{{ {same_fields(10, 3)} }}"),
    "two hundred fragments of the same": too_complex(
        f"{{ me {{ {' '.join(f'...F{n}' for n in range(200))} }} }} "
        + " ".join(f"fragment F{n} on User {{ id }}" for n in range(200))
    ),
    "fragments that double, with fields": too_complex(nested_doubling(80)),
    "one level too deep": too_complex(nested(MAX_DEPTH + 1)),
    "100 levels too deep": too_complex(nested(100)),
    "1,000 levels deep": too_complex(nested(1_000)),
    "deep by fragments": too_complex(
        "{ ...F0 } "
        + " ".join(f"fragment F{n} on Query {{ me {{ ...F{n + 1} }} }}" for n in range(MAX_DEPTH))
        + f" fragment F{MAX_DEPTH} on Query {{ me {{ id }} }}"
    ),
    "a fragment in a field of its own": too_complex("{ ...F } fragment F on Query { me { ...F } }"),
    "deep where it is not used": too_complex(f"{{ __typename }} fragment F on Query {nested(MAX_DEPTH + 1)}"),
    "1,000 inline fragments in each other": too_complex("{ ... " * 1_000 + "{ __typename }" + "}" * 1_000),
    "900 lists in each other": too_complex(f"{{ inbox(after: {'[' * 900}{']' * 900}) {{ sequence }} }}"),
    "600 objects in each other": too_complex(f"{{ inbox(after: {'{ a: ' * 600}1{'}' * 600}) {{ sequence }} }}"),
    "900 lists of a variable's type": too_complex(f"query ($a: {'[' * 900}Int{']' * 900}) {{ __typename }}"),
    "11 mutations": too_complex(f"mutation {{ {repeated(MAX_MUTATIONS + 1, 'removeAvatar { __typename }')} }}"),
    "11 mutations of many kinds": too_complex(
        "mutation { ...F ...G } "
        f"fragment F on Mutation {{ {repeated(6, 'logOut { __typename }')} }} "
        f"fragment G on Mutation {{ {' '.join(f'b{n}: endOtherSessions {{ __typename }}' for n in range(5))} }}"
    ),
    "a page's cost": too_complex(f"{{ {page(99, '(first: 100)')} }}"),
    "a page's cost by a variable": too_complex(f"query ($n: Int) {{ {page(99, '(first: $n)')} }}", n=100),
    "a page's cost by a default": too_complex(f"query ($n: Int = 100) {{ {page(99, '(first: $n)')} }}"),
    "a page's cost by more than there may be": too_complex(f"{{ {page(99, '(first: 999999999)')} }}"),
    "pages' cost without a size": too_complex(f"{{ {repeated(MAX_REPEATS, page(25, ''))} }}"),
    "lists' cost": too_complex(
        f"{{ {repeated(MAX_REPEATS, 'sessions { id userAgent createdAt lastSeenAt ipAddress }')} }}"
    ),
    "more tokens than are allowed": too_complex(f"{{ {'__typename ' * (MAX_TOKENS - 1)} }}"),
    "more letters than are allowed": too_complex("{ __typename }" + " " * MAX_CHARACTERS),
    "more comments than are allowed": too_complex("#\n" * 32_000 + "{ __typename }"),
    # Variables
    "a text for a number, by a variable": bad_variables(PAGE, first="1"),
    "a fraction, by a variable": bad_variables(PAGE, first=1.5),
    "true for a number": bad_variables(PAGE, first=True),
    "a list for a number": bad_variables(PAGE, first=[1, 2]),
    "a list of one for a number": bad_variables(PAGE, first=[1]),
    "an object for a number": bad_variables(PAGE, first={"a": None}),
    "a number of 33 bits, by a variable": bad_variables(PAGE, first=2**31),
    "a number of 4,000 digits": bad_json(PAGE, b'{"first": %s}' % (b"9" * 4_000)),
    "an unknown value of an enum, by a variable": bad_variables(PAGE, state="UNRAED"),
    "a value of an enum as Python has it": bad_variables(PAGE, state="unread"),
    "a long value of an enum": bad_variables(PAGE, state="x" * 200_000),
    "null for an enum": bad_variables(PAGE, state=None),
    "a required variable missing": bad_variables(UPDATE),
    "null for an object": bad_variables(UPDATE, input=None),
    "a list for an object, by a variable": bad_variables(UPDATE, input=[]),
    "a text for an object, by a variable": bad_variables(UPDATE, input="x"),
    "an unknown field, by a variable": bad_variables(UPDATE, input={"boi": "x"}),
    "600 unknown fields, by a variable": bad_variables(UPDATE, input={f"a{n}": "x" * 200 for n in range(600)}),
    "4,900 unknown fields": bad_variables(UPDATE, input={f"a{n}": 0 for n in range(4_900)}),
    "unknown fields with long names": bad_variables(UPDATE, input={f"a{n}{'x' * 10_000}": 0 for n in range(20)}),
    "an object for a text, by a variable": bad_variables(UPDATE, input={"bio": {"a": [None]}}),
    "lists in each other for a text": bad_json(UPDATE, b'{"input": {"bio": %s}}' % (b"[" * 900 + b"]" * 900)),
    "a required field missing, by a variable": bad_variables(AVATAR, input={}),
    "null for an id": bad_variables(MARK, ids=None),
    "null for an id in a list": bad_variables(MARK, ids=[None]),
    "4,900 times": bad_variables(MARK, ids=[None] * 4_900),
    "a fraction for an id": bad_variables(MARK, ids=[1.5]),
    "lists for ids": bad_variables(MARK, ids=[[]] * 4_900),
    "900 lists in each other for ids": bad_json(MARK, b'{"ids": %s}' % (b"[" * 900 + b"]" * 900)),
}


@pytest.mark.hostile(0.25)
@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
async def test_a_document(client: Api, document: Document) -> None:
    for accept, status in ((JSON, 200), (GRAPHQL_RESPONSE, 400)):
        answer = await send(client, document.body, accept=accept)
        assert answer.status_code == status
        refused(answer, document.code)


# ----------------------------------------------------------------------------------------------------------- arguments


def global_id(name: str, key: object) -> str:
    return b64encode(f"{name}:{key}".encode()).decode()


NODE = "query ($id: ID!) { node(id: $id) { id } }"
FROM = "query ($after: String) { notifications(after: $after) { sequence } }"
INBOX = "query ($after: Int) { inbox(after: $after) { sequence } }"
SEEN = "mutation ($upTo: Int!) { markAllNotificationsRead(upTo: $upTo) { __typename } }"
END = "mutation ($id: ID!) { endSession(id: $id) { __typename } }"
PREFER = """mutation ($kind: String!) {
  setNotificationPreference(input: { kind: $kind, channel: EMAIL, enabled: true }) { __typename }
}"""
LOG_IN = """mutation ($email: String!, $password: String!) {
  logIn(input: { email: $email, password: $password }) { __typename ... on Authentication { isAuthenticated } }
}"""
NO_IDS: dict[str, str] = {
    "nothing": "",
    "a space": " ",
    "no base64": "Notification:1",
    "base64 that breaks off": "Tm90aWZpY2F0aW9uOj",
    "padding": "====",
    "no ASCII": "é",
    "a NUL": "\0",
    "half of a surrogate pair": "\ud800",
    "very long": "x" * 100_000,
    "a number": "1",
    "no key": b64encode(b"Notification").decode(),
    "no UTF-8": b64encode(b"\xff:1").decode(),
    "no type": global_id("", 1),
    "an unknown type": global_id("Nothing", 1),
    "a type in other letters": global_id("notification", 1),
    "the interface": global_id("Node", 1),
    "a root": global_id("Query", 1),
    "a type without ids": global_id("NotificationConnection", 1),
    "an input": global_id("EmailInput", 1),
    "a union": global_id("ProfileResult", 1),
    "an enum": global_id("NotificationState", 1),
    "a scalar": global_id("String", 1),
    "a type of introspection": global_id("__Schema", 1),
}
"""What is no id, whatever is asked with it."""
NO_KEYS: dict[str, object] = {
    "of nothing": "",
    "of a word": "x",
    "of zero": 0,
    "below zero": -1,
    "with a sign": "+1",
    "with a space": " 1",
    "with an underscore": "1_0",
    "in Arabic digits": "\u0661",
    "of two": "1:1",
    "of a fraction": "1.0",
    "of 64 bits": 2**63,
    "of 30 digits": "9" * 30,
    "of 5,000 digits": "9" * 5_000,
}
"""What is the key of nothing: it is answered as what does not exist."""


class Told(NamedTuple):
    """What was executed and then refused, or not."""

    code: str | None
    data: Any


async def tell(client: Api, query: str, **variables: Any) -> Told:
    answer = await send(client, as_json(query=query, variables=variables), accept=GRAPHQL_RESPONSE)
    assert answer.status_code == 200
    body = answer.json()
    if "errors" not in body:
        return Told(None, body["data"])
    told_no_more(answer)
    [error] = body["errors"]
    return Told(error["extensions"]["code"], body["data"])


async def test_what_is_no_id(api: ApiFor, alice: User) -> None:
    client = await api(alice)
    for query, nothing in ((NODE, {"node": None}), (END, None)):
        told = {name: await tell(client, query, id=one) for name, one in NO_IDS.items()}
        assert told == dict.fromkeys(NO_IDS, Told("BAD_USER_INPUT", nothing))
    told = {name: await tell(client, MARK, ids=[one]) for name, one in NO_IDS.items()}
    assert told == dict.fromkeys(NO_IDS, Told("BAD_USER_INPUT", None))


@pytest.mark.parametrize("type_name", ["Notification", "Profile", "User", "Session"])
async def test_an_id_of_nothing(api: ApiFor, alice: User, type_name: str) -> None:
    client = await api(alice)
    told = {name: await tell(client, NODE, id=global_id(type_name, key)) for name, key in NO_KEYS.items()}
    assert told == dict.fromkeys(NO_KEYS, Told(None, {"node": None}))


async def test_ids_of_nothing(api: ApiFor, alice: User) -> None:
    client = await api(alice)
    told = {name: await tell(client, MARK, ids=[global_id("Notification", key)]) for name, key in NO_KEYS.items()}
    assert told == dict.fromkeys(NO_KEYS, Told(None, {"markNotificationsRead": {"__typename": "InboxUpdate"}}))
    told = {name: await tell(client, END, id=global_id("Session", key)) for name, key in NO_KEYS.items()}
    assert told == dict.fromkeys(NO_KEYS, Told(None, {"endSession": {"__typename": "Accepted"}}))


async def test_ids_that_are_no_text(api: ApiFor, alice: User) -> None:
    client = await api(alice)
    for key in ("\0", "1\0", "x" * 10_001):
        assert (await tell(client, NODE, id=global_id("Profile", key))).code == "BAD_USER_INPUT"
        assert (await tell(client, MARK, ids=[global_id("Notification", key)])).code == "BAD_USER_INPUT"


async def test_ids_of_another_type(api: ApiFor, alice: User) -> None:
    client = await api(alice)
    others = [global_id(name, alice.pk) for name in ("User", "Profile", "Session")]
    assert [await tell(client, MARK, ids=[one]) for one in others] == [Told("BAD_USER_INPUT", None)] * 3
    assert await tell(client, MARK, ids=[global_id("Notification", 1)] * 1_000 + [others[0]]) == Told(
        "BAD_USER_INPUT", None
    )
    assert await tell(client, MARK, ids=[global_id("Notification", 1)] * 1_001) == Told("BAD_USER_INPUT", None)
    assert (await tell(client, MARK, ids=[global_id("Notification", 1)] * 1_000)).code is None


async def test_what_is_no_cursor(api: ApiFor, alice: User, bob: User) -> None:
    client = await api(alice)
    no_cursors = NO_IDS | {
        "somebody else's": global_id(f"inbox{bob.pk}", 1),
        "nobody's": global_id("inbox", 1),
        "of an id": global_id("Notification", 1),
    }
    no_cursors |= {f"one {name}": global_id(f"inbox{alice.pk}", key) for name, key in NO_KEYS.items()}
    told = {name: (await tell(client, FROM, after=one)).code for name, one in no_cursors.items()}
    no_text = dict.fromkeys(["a NUL", "half of a surrogate pair", "very long"], "BAD_USER_INPUT")
    assert told == dict.fromkeys(no_cursors, "BAD_CURSOR") | no_text


async def test_numbers_out_of_range(api: ApiFor, alice: User) -> None:
    client = await api(alice)
    for first in (0, -1, 101, 2**31 - 1, -(2**31)):
        assert await tell(client, PAGE, first=first) == Told("BAD_USER_INPUT", None)
        assert (await tell(client, f"{{ notifications(first: {first}) {{ sequence }} }}")).code == "BAD_USER_INPUT"
    for number in (-1, 1, 2**31 - 1, -(2**31)):
        assert await tell(client, INBOX, after=number) == Told("BAD_CURSOR", None)
        assert await tell(client, SEEN, upTo=number) == Told("BAD_CURSOR", None)
    for allowed in (1, 100, 1.0, None):
        assert (await tell(client, PAGE, first=allowed)).code is None


@pytest.mark.parametrize("text", ["a\0b", "\ud800", "a\udc00\ud800", "x" * (Text.max_length + 1), "\0" * 40_000])
async def test_what_is_no_text(api: ApiFor, alice: User, text: str) -> None:
    client = await api(alice)
    wrong = Told("BAD_USER_INPUT", None)
    assert await tell(client, UPDATE, input={"bio": text}) == wrong
    assert await tell(client, UPDATE, input={"displayName": text, "bio": "Hello"}) == wrong
    assert await tell(client, PREFER, kind=text) == wrong
    assert await tell(client, LOG_IN, email=text, password=PASSWORD) == wrong
    assert await tell(client, LOG_IN, email="alice@example.com", password=text) == wrong
    profile = await Profile.objects.aget(user=alice)
    assert (profile.display_name, profile.bio) == ("Alice", "")


async def test_text_that_is_written_in_the_document(api: ApiFor, alice: User) -> None:
    client = await api(alice)
    for text in ("\\u0000", "\\u{0}", "x" * (Text.max_length + 1)):
        query = f'mutation {{ updateProfile(input: {{ bio: "{text}" }}) {{ __typename }} }}'
        assert await tell(client, query) == Told("BAD_USER_INPUT", None)


async def test_text_is_trimmed_where_the_schema_says_so(api: ApiFor, alice: User) -> None:
    client, visitor = await api(alice), await api()
    query = "mutation ($input: UpdateProfileInput!) { updateProfile(input: $input) { ... on Profile { displayName } } }"
    for text in (" Al \n", "\u2003Al", "Al" + " " * Text.max_length):
        assert (await tell(client, query, input={"displayName": text})).data == {"updateProfile": {"displayName": "Al"}}
    right = {"logIn": {"__typename": "Authentication", "isAuthenticated": True}}
    assert (await tell(visitor, LOG_IN, email=" alice@example.com\n", password=PASSWORD)).data == right


async def test_passwords_are_not_trimmed(api: ApiFor, alice: User, bob: User) -> None:
    bob.set_password(f" {PASSWORD} ")
    await bob.asave()
    visitor = await api()
    wrong = {"logIn": {"__typename": "OperationInfo"}}
    for email, password in (("alice", f"{PASSWORD} "), ("alice", f"\n{PASSWORD}"), ("bob", PASSWORD)):
        assert (await tell(visitor, LOG_IN, email=f"{email}@example.com", password=password)).data == wrong
    right = {"logIn": {"__typename": "Authentication", "isAuthenticated": True}}
    assert (await tell(visitor, LOG_IN, email="bob@example.com", password=f" {PASSWORD} ")).data == right


async def test_a_file_that_is_none(api: ApiFor, alice: User) -> None:
    client = await api(alice)
    deep: list[Any] = []
    for _ in range(900):
        deep = [deep]
    for image in ("me.jpg", 1, True, {}, [], {"a": [None]}, "x" * 200_000, deep):
        assert await tell(client, AVATAR, input={"image": image}) == Told("BAD_USER_INPUT", None)
    raw = b'{"query": "%s", "variables": {"input": {"image": %s}}}'
    answer = await send(client, raw % (AVATAR.encode(), b"[" * 9_000 + b"]" * 9_000))
    assert {error["extensions"]["code"] for error in answer.json()["errors"]} == {"BAD_USER_INPUT"}


async def test_a_visitor(api: ApiFor) -> None:
    client = await api()
    assert await tell(client, PAGE) == Told("UNAUTHENTICATED", None)
    assert await tell(client, UPDATE, input={}) == Told("UNAUTHENTICATED", None)
    assert await tell(client, NODE, id=global_id("Profile", 1)) == Told(None, {"node": None})


# ---------------------------------------------------------------------------------------------------------- the limits


def tokens(document: str) -> int:
    lexer = Lexer(Source(document))
    count = 0
    while lexer.advance().kind is not TokenKind.EOF:
        count += 1
    return count


def ids(many: int) -> str:
    return '["Tm90aWZpY2F0aW9uOjE="' + ' "Tm90aWZpY2F0aW9uOjE="' * (many - 1) + "]"


def many_tokens(last: int) -> str:
    marks = [
        f"a{n}: markNotificationsRead(ids: {ids(many)}) {{ __typename }}" for n, many in enumerate((700, 700, last))
    ]
    return f"mutation {{ {' '.join(marks)} }}"


ROOM = MAX_TOKENS - tokens(many_tokens(1)) + 1
COSTLY = page(97, "(first: 100)")  # 1 + 100 * (edges + node + 97)

INSIDE: dict[str, tuple[str, dict[str, Any]]] = {
    "as many aliases as are allowed": (f"{{ me {{ {repeated(MAX_REPEATS, 'id')} }} }}", {}),
    "and the field itself over and over": (f"{{ me {{ {repeated(MAX_REPEATS - 1, 'id')} {'id ' * 50} }} }}", {}),
    "as many mutations": (
        f"mutation {{ {repeated(MAX_MUTATIONS, 'markAllNotificationsRead(upTo: 0) { __typename }')} }}",
        {},
    ),
    "all that may be spent": (f"{{ {COSTLY} {'__typename ' * (MAX_COST - 9_901)} }}", {}),
    "a page's cost by a small variable": (f"query ($n: Int) {{ {page(99, '(first: $n)')} }}", {"n": 5}),
    "a page's cost by a default": (f"{{ {page(99, '')} }}", {}),
    "as many tokens": (many_tokens(ROOM), {}),
    "as many letters": ("{ __typename }".ljust(MAX_CHARACTERS), {}),
    "fragments that double": (doubling(MAX_FRAGMENTS - 1), {}),
    "100 inline fragments in each other": ("{ ... " * 100 + "{ __typename }" + "}" * 100, {}),
    "half of the comments": ("#\n" * (MAX_TOKENS // 2) + "{ __typename }", {}),
    "a byte order mark in the document": ("\ufeff{ __typename }", {}),
    "a word that the answers don't have": ("{ DidYouMean: __typename }", {}),
}


@pytest.mark.parametrize(("query", "variables_"), INSIDE.values(), ids=INSIDE)
async def test_what_is_just_allowed(api: ApiFor, alice: User, query: str, variables_: dict[str, Any]) -> None:
    await anotify([alice], Announcement(title="Hello"))
    client = await api(alice)
    answer = await send(client, as_json(query=query, variables=variables_), accept=GRAPHQL_RESPONSE)
    assert answer.status_code == 200
    assert "errors" not in answer.json()


@pytest.mark.parametrize(
    "query",
    [
        f"{{ {COSTLY} {'__typename ' * (MAX_COST - 9_900)} }}",
        many_tokens(ROOM + 1),
        "{ __typename }".ljust(MAX_CHARACTERS + 1),
    ],
)
async def test_one_more(client: Api, query: str) -> None:
    refused(await send(client, as_json(query=query)), "TOO_COMPLEX")


async def test_a_request_as_large_as_is_allowed(client: Api) -> None:
    body = variables(b'{"a": "%s"}' % (b"x" * (MAX_BYTES - len(variables(b'{"a": ""}')))))
    assert len(body) == MAX_BYTES
    assert (await send(client, body)).json() == {"data": {"__typename": "Query"}}


# ------------------------------------------------------------------------------------------------------- what it costs

TICK = 1 / sysconf("SC_CLK_TCK")
MOST = 10
"""Of the server's processor for one answer: as many times what it takes to read a document of `MAX_TOKENS` fields, here
and now."""
MOST_FOR_LARGE = 40
"""For the largest that is let in, most of it to take it from the network."""
HEALTH = 0.002
"""Seconds that `/health/live/` itself takes."""


def spent(server: Server) -> float:
    """Seconds of processor time so far, of all its threads."""
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK


def time_to_read() -> float:
    """Seconds of this processor for a document of `MAX_TOKENS` fields: on a busy machine it takes twice as long."""
    began = time.process_time()
    parse(f"{{ {'a ' * MAX_TOKENS} }}")
    return time.process_time() - began


class Meter:
    """Sends requests to a server, and tells what they cost it."""

    def __init__(self, server: Server, client: httpx.Client, other: httpx.Client) -> None:
        self._server, self._client, self._other = server, client, other
        self._thread = ThreadPoolExecutor(1)

    def take(self, body: bytes, content_type: str, times: int) -> tuple[float, float]:
        """What each costs, in times to read, and how many seconds somebody else has waited meanwhile."""
        reading = time_to_read()
        before, slowest, asked = spent(self._server), 0.0, 0
        sending = self._thread.submit(self._send, body, content_type, times)
        while not sending.done():
            began = time.monotonic()
            assert self._other.get("/health/live/").status_code == 200
            slowest = max(slowest, time.monotonic() - began)
            asked += 1
            wait([sending], 0.05)
        sending.result()
        return (spent(self._server) - before - asked * HEALTH) / times / reading, slowest

    def _send(self, body: bytes, content_type: str, times: int) -> None:
        for _ in range(times):
            self._client.post("/graphql/", content=body, headers={"Content-Type": content_type})


def test_what_it_costs(server: Server, alice: User) -> None:
    """The least of some rounds: what else goes on in the machine only ever adds to it.

    What is measured is processor time. How long others wait meanwhile is only looked at with the patience that a busy
    machine needs.
    """
    costs: dict[str, float] = {}
    waits: dict[str, float] = {}
    with (
        httpx.Client(base_url=server.url, cookies=session_cookies(alice), timeout=60) as client,
        httpx.Client(base_url=server.url, timeout=60) as other,
    ):
        client.headers["X-CSRFToken"] = client.get("/graphql/").cookies["csrftoken"]
        meter = Meter(server, client, other)
        meter.take(GOOD, JSON, 20)
        for name, (body, content_type) in bodies().items():
            costs[name], waits[name] = meter.take(body, content_type, 2)
            for _ in range(6):
                if costs[name] < MOST and waits[name] < 1:
                    break
                cost, wait_ = meter.take(body, content_type, 5)
                costs[name], waits[name] = min(cost, costs[name]), min(wait_, waits[name])
    assert {name: round(cost, 1) for name, cost in costs.items() if cost >= MOST} == {}
    assert {name: round(wait_, 3) for name, wait_ in waits.items() if wait_ >= 1} == {}


LARGE: dict[str, tuple[str, bytes]] = {
    "a form of short fields": ("application/x-www-form-urlencoded", b"a&" * 4_000_000),
    "a form of many fields": ("application/x-www-form-urlencoded", b"&".join(b"%x=1" % n for n in range(900_000))),
    "a file of line breaks": (
        MULTIPART,
        OPERATIONS[:-7] + part("f", b"\r\n" * 4_000_000, '; filename="a"') + b"--x--\r\n",
    ),
    "headers without an end": (MULTIPART, b"--x\r\n" + b"A: b\r\n" * 1_300_000),
    "as many parts as fit": (MULTIPART, b"--x\r\n" * 1_600_000),
    "no parts": (MULTIPART, b"--x" * 2_700_000),
    "JSON": (JSON, b"[" * 8_000_000),
}
"""As large as is let in: for any address, and without the token against CSRF."""


def test_what_large_bodies_cost(server: Server) -> None:
    costs, waits = {}, {}
    with (
        httpx.Client(base_url=server.url, timeout=60) as client,
        httpx.Client(base_url=server.url, timeout=60) as other,
    ):
        meter = Meter(server, client, other)
        for name, (content_type, body) in LARGE.items():
            rounds = [meter.take(body, content_type, 1) for _ in range(3)]
            costs[name], waits[name] = (min(measured) for measured in zip(*rounds, strict=True))
    assert {name: round(cost, 1) for name, cost in costs.items() if cost >= MOST_FOR_LARGE} == {}
    assert {name: round(wait_, 3) for name, wait_ in waits.items() if wait_ >= 1} == {}


def bodies() -> dict[str, tuple[bytes, str]]:
    """What of the above is long enough to cost anything, and gets as far as being read."""
    requests = {
        name: (request.body, request.headers.get("Content-Type", JSON))
        for name, request in REQUESTS.items()
        if request.method == "POST" and request.code != "FORBIDDEN"
    }
    documents = {name: (document.body, JSON) for name, document in DOCUMENTS.items()}
    return {name: sent for name, sent in (requests | documents).items() if len(sent[0]) >= 500}
