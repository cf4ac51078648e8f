"""A statement that takes too long is ended, and the answer says so."""

from collections.abc import Callable, Iterator

import httpx
import pytest
from django.db import connection, transaction

from tests.clients import session_cookies
from tests.conftest import User
from tests.processes import Server

UNREAD_COUNT = "{ unreadCount }"


@pytest.fixture
def client(start_server: Callable[..., Server], alice: User) -> Iterator[httpx.Client]:
    server = start_server(DATABASE_STATEMENT_SECONDS="0.5")
    with httpx.Client(base_url=server.url, cookies=session_cookies(alice), timeout=30) as client:
        client.headers["X-CSRFToken"] = client.get("/graphql/").cookies["csrftoken"]
        yield client


def ask(client: httpx.Client) -> httpx.Response:
    return client.post("/graphql/", json={"query": UNREAD_COUNT})


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite waits for nobody but its one writer")
def test_it_works(client: httpx.Client) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("LOCK TABLE notifications_inbox IN ACCESS EXCLUSIVE MODE")
        answer = ask(client)
        assert answer.status_code == 200
        assert [error["extensions"]["code"] for error in answer.json()["errors"]] == ["TIMEOUT"]
        assert "statement" not in answer.text
    assert ask(client).json() == {"data": {"unreadCount": 0}}
