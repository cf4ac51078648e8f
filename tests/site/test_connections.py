"""A request gives back each database connection that it took; one that it keeps is missing from the pool for ever."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import NotSupportedError, connection, connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created

from apps.users.models import User
from tests.conftest import ApiFor

postgresql = pytest.mark.skipif(connection.vendor != "postgresql", reason="PostgreSQL")


@contextmanager
def connections_taken() -> Iterator[list[BaseDatabaseWrapper]]:
    """Those that are made in the meantime, in any thread."""
    taken: list[BaseDatabaseWrapper] = []

    def note(connection: BaseDatabaseWrapper, **_: Any) -> None:
        taken.append(connection)

    connection_created.connect(note)
    try:
        yield taken
    finally:
        connection_created.disconnect(note)


@pytest.mark.parametrize("path", ["/", "/notifications/", "/settings/", "/accounts/email/", "/no-such-page/"])
async def test_a_page(api: ApiFor, alice: User, path: str) -> None:
    client = await api(alice)
    with connections_taken() as taken:
        answer = await client.get(path)
    assert answer.status_code in {200, 404}
    assert taken
    assert [one for one in taken if one.connection is not None] == []


async def test_a_page_that_is_refused(api: ApiFor, alice: User) -> None:
    alice.set_unusable_password()
    await alice.asave()
    client = await api(alice)
    with connections_taken() as taken:
        answer = await client.get("/accounts/reauthenticate/")
    assert answer.status_code == 403
    assert "This page is not for you." in answer.text
    assert [one for one in taken if one.connection is not None] == []


async def test_the_api(api: ApiFor, alice: User) -> None:
    client = await api(alice)
    await client.csrf_headers()
    with connections_taken() as taken:
        assert (await client.data("{ me { email } notificationPreferences { kind } }"))["me"]
    assert taken
    assert [one for one in taken if one.connection is not None] == []


def execute(sql: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall() if cursor.description else []


def elsewhere(sql: str) -> list[Any]:
    """On another connection."""
    with ThreadPoolExecutor(1) as thread:
        try:
            return thread.submit(execute, sql).result()
        finally:
            thread.submit(connections.close_all).result()


def prepared() -> list[Any]:
    return execute("SELECT statement FROM pg_prepared_statements")


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The connections that PostgreSQL is asked about. Those that earlier tests have left in the pool are not: one of
    them may be broken."""
    from psycopg_pool import ConnectionPool

    connection.close_pool()  # type: ignore[attr-defined]  # which only PostgreSQL has
    checked: list[object] = []
    check = ConnectionPool.check_connection

    def note(connection: Any) -> None:
        checked.append(connection)
        check(connection)

    monkeypatch.setattr(ConnectionPool, "check_connection", note)
    return checked


@pytest.fixture
def restart(alice: User) -> Callable[[], None]:
    """Ends all connections to this database but the one that the fixtures use."""
    import psycopg

    own = connection.connection.info.backend_pid
    parameters = connection.get_connection_params()

    def restart() -> None:
        clients = "FROM pg_stat_activity WHERE datname = current_database() AND backend_type = 'client backend'"
        others = f"{clients} AND pid NOT IN (pg_backend_pid(), {own})"
        with psycopg.connect(**parameters, autocommit=True) as aside:
            assert aside.execute(f"SELECT pg_terminate_backend(pid, 5000) {others}").fetchall()
            assert aside.execute(f"SELECT pid {others}").fetchall() == []

    return restart


@postgresql
async def test_a_database_that_was_restarted(
    api: ApiFor, alice: User, restart: Callable[[], None], checked: list[object]
) -> None:
    """Those of the pool, and the event loop's own, are broken, and no request fails by that. As long as they work,
    nobody asks."""
    client = await api(alice)
    await client.data("{ notificationPreferences { kind } }")
    assert checked == []
    await sync_to_async(restart)()
    assert await client.data("{ me { email } notificationPreferences { kind } }")
    assert checked


@pytest.fixture
def table(transactional_db: None) -> Iterator[str]:
    elsewhere("CREATE TABLE moving (name varchar(10))")
    yield "moving"
    elsewhere("DROP TABLE moving")


@postgresql
def test_statements_are_prepared(table: str) -> None:
    statement = f"SELECT name FROM {table}"
    for _ in range(10):
        execute(statement)
    assert (statement,) in prepared()


@postgresql
def test_a_migration_meanwhile(table: str) -> None:
    """A prepared statement that would no longer work is forgotten, outside of a transaction without an error."""
    statement = f"SELECT name FROM {table}"
    for _ in range(10):
        execute(statement)
    elsewhere(f"ALTER TABLE {table} ALTER name TYPE varchar(20)")
    assert execute(statement) == []
    for _ in range(10):
        execute(statement)
    elsewhere(f"ALTER TABLE {table} ALTER name TYPE varchar(30)")
    with pytest.raises(NotSupportedError), transaction.atomic():
        execute(statement)
    with transaction.atomic():
        assert execute(statement) == []
