"""What the event loop asks PostgreSQL by itself, and that nobody notices when a connection breaks."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import DatabaseError, OperationalError, connection

from apps import loop_connections as module
from apps.loop_connections import LoopConnections, close_abandoned, loop_connections

if connection.vendor != "postgresql":
    pytest.skip("PostgreSQL", allow_module_level=True)

ALL_OTHERS = "FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'of the loop'"


def execute(sql: str) -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchall() if cursor.description else []


aexecute = sync_to_async(execute)


@pytest.fixture
async def loop(transactional_db: None) -> LoopConnections:
    found = loop_connections("default")
    assert found
    return found


async def name(loop: LoopConnections) -> None:
    """So that `ALL_OTHERS` are those that the loop has now."""
    for one in loop.idle:
        await one.execute("SET application_name = 'of the loop'")


async def test_it_works(loop: LoopConnections) -> None:
    assert await loop.fetch("SELECT %s + 1, 'two'", (1,)) == [(2, "two")]
    assert await loop.fetch("SELECT 1 WHERE %s", (False,)) == []
    assert len(loop.idle) == 1
    assert loop_connections("default") is loop


async def test_they_are_as_django_s(loop: LoopConnections) -> None:
    options = "current_setting('TimeZone'), current_setting('statement_timeout')"
    asked = f"SELECT {options}, timestamptz '2026-11-22', jsonb '[1]'"
    assert await loop.fetch(asked, ()) == await aexecute(asked)


async def test_many_at_once(loop: LoopConnections) -> None:
    """Each has its own connection, and those that find none wait."""
    size = loop.django.settings_dict["OPTIONS"]["pool"]["max_size"]
    asked = [loop.fetch("SELECT %s, pg_backend_pid(), pg_sleep(0.01)", (number,)) for number in range(3 * size)]
    answers = await asyncio.gather(*asked)
    assert [answer[0][0] for answer in answers] == list(range(3 * size))
    assert len({answer[0][1] for answer in answers}) == len(loop.idle) == size


@pytest.mark.parametrize(("pool", "size"), [(True, 4), ({}, 4), ({"min_size": 2}, 2), ({"max_size": 3}, 3)])
async def test_pools_of_any_size(
    transactional_db: None, pool: object, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "pool", pool)
    loop = LoopConnections("default")
    await asyncio.gather(*[loop.fetch("SELECT pg_sleep(0.01)", ()) for _ in range(9)])
    assert len(loop.idle) == size
    loop.close()


async def test_none_becomes_free(loop: LoopConnections, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SECONDS", 0.05)
    size = loop.django.settings_dict["OPTIONS"]["pool"]["max_size"]
    await asyncio.gather(*[loop.fetch("SELECT pg_sleep(0.01)", ()) for _ in range(size)])
    taken = [asyncio.create_task(loop.fetch("SELECT pg_sleep(60)", ())) for _ in range(size)]
    while loop.idle:
        await asyncio.sleep(0)
    with pytest.raises(OperationalError, match="became free"):
        await loop.fetch("SELECT 1", ())
    for task in taken:
        task.cancel()
    await asyncio.wait(taken)
    assert await loop.fetch("SELECT 1", ()) == [(1,)]


async def test_who_asked_has_gone(loop: LoopConnections) -> None:
    """The statement is ended, and the connection serves the next."""
    await loop.fetch("SELECT 1", ())
    await name(loop)
    asking = asyncio.create_task(loop.fetch("SELECT pg_sleep(60)", ()))
    while not await aexecute(f"SELECT 1 {ALL_OTHERS} AND wait_event = 'PgSleep'"):
        await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert await aexecute(f"SELECT 1 {ALL_OTHERS} AND state = 'active'") == []
    assert await loop.fetch("SELECT 1", ()) == [(1,)]


async def test_a_database_that_was_restarted(loop: LoopConnections) -> None:
    await asyncio.gather(*[loop.fetch("SELECT pg_sleep(0.01)", ()) for _ in range(3)])
    await name(loop)
    ended = await aexecute(f"SELECT pg_terminate_backend(pid, 5000) {ALL_OTHERS}")
    assert ended == [(True,)] * 3
    assert await loop.fetch("SELECT 1", ()) == [(1,)]
    assert len(loop.idle) == 1


async def test_a_database_that_is_away(loop: LoopConnections, monkeypatch: pytest.MonkeyPatch) -> None:
    parameters = loop.django.get_connection_params()
    monkeypatch.setattr(loop.django, "get_connection_params", lambda: parameters | {"port": "1"})
    with pytest.raises(OperationalError):
        await loop.fetch("SELECT 1", ())
    monkeypatch.undo()
    assert await loop.fetch("SELECT 1", ()) == [(1,)]


async def test_an_error_is_django_s(loop: LoopConnections) -> None:
    with pytest.raises(DatabaseError, match="division by zero"):
        await loop.fetch("SELECT 1 / 0", ())
    assert await loop.fetch("SELECT 1", ()) == [(1,)]
    assert len(loop.idle) == 1


@pytest.fixture
def table(transactional_db: None) -> Iterator[str]:
    execute("CREATE TABLE moving (name varchar(10))")
    yield "moving"
    execute("DROP TABLE moving")


async def test_a_migration_meanwhile(table: str, loop: LoopConnections) -> None:
    """What was prepared would no longer work, on any of them."""
    statement = f"SELECT name, pg_sleep(0.002) FROM {table}"
    await aexecute(f"INSERT INTO {table} VALUES ('a')")
    for _ in range(7):
        await asyncio.gather(*[loop.fetch(statement, ()) for _ in range(3)])
    prepared = await loop.fetch("SELECT statement FROM pg_prepared_statements", ())
    assert any("moving" in text for (text,) in prepared)
    await aexecute(f"ALTER TABLE {table} ALTER name TYPE varchar(20)")
    for answer in await asyncio.gather(*[loop.fetch(statement, ()) for _ in range(3)]):
        assert answer[0][0] == "a"


def test_a_loop_that_has_ended(transactional_db: None) -> None:
    async def ask() -> LoopConnections:
        found = loop_connections("default")
        assert found
        await found.fetch("SELECT 1", ())
        return found

    found = asyncio.run(ask())
    [left] = found.idle
    close_abandoned()
    assert left.closed
    assert found.idle == []


async def test_two_loops(loop: LoopConnections) -> None:
    """Another one, in another thread, leaves those of this one alone."""
    await loop.fetch("SELECT 1", ())

    async def ask() -> Any:
        found = loop_connections("default")
        assert found not in {None, loop}
        return await found.fetch("SELECT 2", ())

    def elsewhere() -> Any:
        return asyncio.run(ask())

    run: Callable[[], Any] = sync_to_async(elsewhere)
    assert await run() == [(2,)]
    assert len(loop.idle) == 1
    assert await loop.fetch("SELECT 1", ()) == [(1,)]
