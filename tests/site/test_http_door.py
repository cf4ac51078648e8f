import json

import pytest
from django.conf import settings
from django.test import Client

from apps.accounts import services
from tests.conftest import ApiFor, User
from tests.pictures import phone_jpeg

ME = "{ me { email } }"


async def test_it_works(api: ApiFor, alice: User) -> None:
    client = await api(alice)
    response = await client.post("/graphql/", json={"query": ME}, headers=await client.csrf_headers())
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json; charset=utf-8"
    assert response.json() == {"data": {"me": {"email": "alice@example.com"}}}


async def test_without_the_csrf_header_it_is_refused(api: ApiFor, alice: User) -> None:
    client = await api(alice)
    for _ in range(2):  # with the cookie as without it
        response = await client.post("/graphql/", json={"query": ME})
        assert response.status_code == 403
        assert response.json()["errors"][0]["extensions"]["code"] == "FORBIDDEN"
        assert settings.CSRF_COOKIE_NAME in client.cookies


async def test_a_client_can_begin_with_any_request(api: ApiFor) -> None:
    client = await api()
    response = await client.get("/graphql/")
    assert (response.status_code, response.headers["Allow"]) == (405, "POST")
    assert response.json()["errors"][0]["extensions"]["code"]
    token = response.cookies[settings.CSRF_COOKIE_NAME]
    answer = await client.post("/graphql/", json={"query": ME}, headers={"X-CSRFToken": token})
    assert answer.json() == {"data": {"me": None}}


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
        ("{ me }", "GRAPHQL_VALIDATION_FAILED"),
    ],
)
async def test_a_wrong_document_has_its_code(api: ApiFor, query: str, code: str) -> None:
    assert (await (await api()).ask(query)).codes == [code]


async def test_a_wrong_variable_has_its_code(api: ApiFor, alice: User) -> None:
    query = "query ($after: Int) { inbox(after: $after) { sequence } }"
    assert (await (await api(alice)).ask(query, after="x")).codes == ["BAD_USER_INPUT"]


async def test_an_unexpected_error_tells_nothing(
    api: ApiFor, alice: User, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def leak(user: User) -> bool:
        raise RuntimeError("the password is swordfish")

    monkeypatch.setattr(services, "is_account", leak)
    answer = await (await api(alice)).ask(ME)
    [error] = answer.errors
    assert (error["message"], error["extensions"]["code"]) == ("Internal error.", "INTERNAL_ERROR")
    assert "swordfish" not in answer.response.text
    assert error["extensions"]["reference"] in caplog.text
    assert "swordfish" in caplog.text


JSON = "application/json"
GRAPHQL_RESPONSE = "application/graphql-response+json"
NEGOTIATED = {
    "": JSON,
    "*/*": JSON,
    "application/*": JSON,
    "text/html, */*;q=0.1": JSON,
    JSON: JSON,
    GRAPHQL_RESPONSE: GRAPHQL_RESPONSE,
    f"{GRAPHQL_RESPONSE}, {JSON};q=0.9": GRAPHQL_RESPONSE,
    f"{JSON}, {GRAPHQL_RESPONSE};q=0.9": JSON,
    f"{JSON};q=0.5, {GRAPHQL_RESPONSE};q=0.9": GRAPHQL_RESPONSE,
    f"{GRAPHQL_RESPONSE}, */*;q=0.8": GRAPHQL_RESPONSE,
    f"multipart/mixed;deferSpec=20220824, {GRAPHQL_RESPONSE}, {JSON}": GRAPHQL_RESPONSE,
    f"{GRAPHQL_RESPONSE};q=0, */*": JSON,
    f"{JSON}; charset=utf-8": JSON,
    f'{GRAPHQL_RESPONSE};charset="UTF-8"': GRAPHQL_RESPONSE,
    f"{GRAPHQL_RESPONSE}; charset=utf-8, {JSON}; charset=utf-8": GRAPHQL_RESPONSE,
}
"""What a client accepts, and what it gets."""


@pytest.mark.parametrize(
    ("accept", "media_type"), NEGOTIATED.items(), ids=[accept or "nothing" for accept in NEGOTIATED]
)
async def test_what_is_accepted(api: ApiFor, accept: str, media_type: str) -> None:
    client = await api()
    request = client.build_request("POST", "/graphql/", json={"query": ME}, headers=await client.csrf_headers())
    del request.headers["Accept"]
    if accept:
        request.headers["Accept"] = accept
    answer = await client.send(request)
    assert answer.status_code == 200
    assert answer.headers["Content-Type"] == f"{media_type}; charset=utf-8"
    assert answer.json() == {"data": {"me": None}}


@pytest.mark.parametrize(
    "content_type", [JSON, "Application/JSON", f"{JSON};charset=utf-8", f'{JSON}; charset="UTF-8"', f"{JSON}; x=y"]
)
async def test_what_is_json(api: ApiFor, content_type: str) -> None:
    client = await api()
    headers = await client.csrf_headers() | {"Content-Type": content_type}
    answer = await client.post("/graphql/", content=b'{"query": "{ me { email } }"}', headers=headers)
    assert answer.json() == {"data": {"me": None}}


async def test_who_has_the_cookie_keeps_it(api: ApiFor, alice: User) -> None:
    client = await api(alice)
    headers = await client.csrf_headers()
    for answer in (
        await client.post("/graphql/", json={"query": ME}, headers=headers),
        await client.post("/graphql/", json={}, headers=headers),
        await client.post("/graphql/", json={"query": ME}),
        await client.get("/graphql/"),
    ):
        assert answer.cookies.get(settings.CSRF_COOKIE_NAME) in {headers["X-CSRFToken"], None}


async def test_a_form_of_several_parts(api: ApiFor, alice: User) -> None:
    """By the GraphQL multipart request specification; with a file, see `tests/profiles/test_multipart.py`."""
    client = await api(alice)
    headers = await client.csrf_headers() | {"Accept": GRAPHQL_RESPONSE}
    query = f"query Me {ME} query Inbox ($after: Int) {{ inbox(after: $after) {{ sequence }} }}"
    operations = {"query": query, "variables": {"after": 0}, "operationName": "Inbox"}
    form = {"operations": (None, json.dumps(operations)), "map": (None, "{}")}
    answer = await client.post("/graphql/", files=form, headers=headers)
    assert answer.headers["Content-Type"] == f"{GRAPHQL_RESPONSE}; charset=utf-8"
    assert answer.json() == {"data": {"inbox": {"sequence": 0}}}


async def test_a_file_in_an_input(api: ApiFor, alice: User) -> None:
    client = await api(alice)
    query = "mutation ($input: SetAvatarInput!) { setAvatar(input: $input) { __typename } }"
    form = {
        "operations": json.dumps({"query": query, "variables": {"input": {"image": None}}}),
        "map": json.dumps({"0": ["variables.input.image"]}),
    }
    answer = await client.post("/graphql/", data=form, files={"0": phone_jpeg()}, headers=await client.csrf_headers())
    assert answer.json() == {"data": {"setAvatar": {"__typename": "Profile"}}}


def test_it_works_under_wsgi(alice: User) -> None:
    client = Client(SERVER_NAME="testserver")
    client.force_login(alice, backend=settings.AUTHENTICATION_BACKENDS[0])
    query = 'mutation { updateProfile(input: { bio: " Curious. " }) { ... on Profile { bio } } }'
    answer = client.post("/graphql/", {"query": query}, content_type=JSON)
    assert answer.json() == {"data": {"updateProfile": {"bio": "Curious."}}}


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b'{"query": "{ __typename }", "query": "{ me { id } }"}', "An object has the same key twice."),
        (b'{"query": "{ __typename }", "variables": {"a": NaN}}', "NaN is no JSON."),
        (b'{"query": "{ __typename }", "variables": {"a": 1e999}}', "A number is too large."),
        (b"{", "This can't be read as JSON."),
    ],
)
async def test_it_says_what_is_wrong_with_json(api: ApiFor, body: bytes, told: str) -> None:
    client = await api()
    headers = await client.csrf_headers() | {"Content-Type": JSON}
    answer = await client.post("/graphql/", content=body, headers=headers)
    assert answer.json()["errors"][0]["message"] == told
