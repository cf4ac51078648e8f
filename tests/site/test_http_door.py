import pytest
from django.conf import settings

from apps.accounts import services
from tests.conftest import ApiFor, User

ME = "{ me { email } }"


async def test_it_works(api: ApiFor, alice: User) -> None:
    client = await api(alice)
    response = await client.post("/graphql/", json={"query": ME}, headers=await client.csrf_headers())
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
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
    async def leak(user: User) -> User:
        raise RuntimeError("the password is swordfish")

    monkeypatch.setattr(services, "aaccount_of", leak)
    answer = await (await api(alice)).ask(ME)
    [error] = answer.errors
    assert (error["message"], error["extensions"]["code"]) == ("Internal error.", "INTERNAL_ERROR")
    assert "swordfish" not in answer.response.text
    assert error["extensions"]["reference"] in caplog.text
    assert "swordfish" in caplog.text
