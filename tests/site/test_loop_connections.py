"""What the event loop asks PostgreSQL by itself, and that nobody notices when a connection breaks."""

import asyncio
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import DatabaseError, OperationalError, connection

from apps import loop_connection
from apps import loop_connections as module
from apps.loop_connections import LoopConnections, close_abandoned, loop_connections

if connection.vendor != "postgresql":
    pytest.skip("PostgreSQL", allow_module_level=True)

pytestmark = pytest.mark.loops("asyncio", "uvloop")

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
        await one.fetch("SET application_name = 'of the loop'", ())


async def test_it_works(loop: LoopConnections) -> None:
    assert await loop.fetch("SELECT %s + 1, 'two'", (1,)) == [(2, "two")]
    assert await loop.fetch("SELECT 1 WHERE %s", (False,)) == []
    assert len(loop.idle) == 1
    assert loop_connections("default") is loop


async def test_more_than_a_socket_holds(loop: LoopConnections) -> None:
    """In both directions."""
    text = "ü" * 8_000_000
    assert await loop.fetch("SELECT length(%s), %s", (text, text)) == [(len(text), text)]
    assert await loop.fetch("SELECT 1", ()) == [(1,)]


async def test_percent_signs(loop: LoopConnections) -> None:
    """Are doubled, as Django does it."""
    assert await loop.fetch("SELECT 'a%%', %s, 7 %% 4, 'b' LIKE %s", ("%s", "%%")) == [("a%", "%s", 3, True)]


async def test_values_of_any_type(loop: LoopConnections) -> None:
    """What is prepared for one type is not used for another."""
    for value in (1, 2**40, "one", None, True, 1.5, [1, 2], b"\0", date(2026, 11, 22), 1):
        assert await loop.fetch("SELECT %s", (value,)) == [(value,)]


@pytest.mark.parametrize("threshold", [None, 5])
async def test_what_is_prepared(loop: LoopConnections, threshold: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing where Django's own connections prepare nothing, as behind a pool of another process; never too many."""
    monkeypatch.setitem(loop.django.settings_dict["OPTIONS"], "prepare_threshold", threshold)
    monkeypatch.setattr(loop_connection, "MAX_PREPARED", 5)
    for number in 2 * list(range(10)):
        assert await loop.fetch(f"SELECT {number}", ()) == [(number,)]
    [(count,)] = await loop.fetch("SELECT count(*) FROM pg_prepared_statements", ())
    assert count == (5 if threshold else 0)
    assert len(loop.idle) == 1


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
    size = loop.django.settings_dict["OPTIONS"]["pool"]["max_size"]
    await asyncio.gather(*[loop.fetch("SELECT pg_sleep(0.01)", ()) for _ in range(size)])
    monkeypatch.setattr(module, "SECONDS", 0.05)
    taken = [asyncio.create_task(loop.fetch("SELECT pg_sleep(60)", ())) for _ in range(size)]
    while loop.idle:
        await asyncio.sleep(0)
    with pytest.raises(OperationalError, match="became free"):
        await loop.fetch("SELECT 1", ())
    monkeypatch.undo()
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


async def test_who_asked_goes_at_any_moment(loop: LoopConnections) -> None:
    """After so many turns of the loop: while it connects, prepares, or asks. What comes next is not disturbed."""
    for turns in range(60):
        statement = f"SELECT {turns}"
        asking = asyncio.create_task(loop.fetch(statement, ()))
        for _ in range(turns):
            await asyncio.sleep(0)
        asking.cancel()
        await asyncio.wait([asking])
        assert await loop.fetch(statement, ()) == [(turns,)]
    assert len(loop.idle) == 1


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
