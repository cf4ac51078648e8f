"""How often a query crosses from the event loop into a thread, and how often it asks the database: seldom, and no more
often where there is more to tell."""

import threading
from typing import Any

import pytest
from asgiref.sync import SyncToAsync
from django.db import connection
from django.db.backends.utils import CursorWrapper

from apps.accounts import activity
from apps.loop_connections import LoopConnections
from apps.notifications.kinds import Announcement
from apps.notifications.services import anotify
from apps.users.models import User
from tests.conftest import ApiFor

QUERY = """{
  me { email profile { displayName avatar { url } } }
  notifications(first: 50) { edges { node { id title createdAt actor { displayName avatar { url } } } } }
  unreadCount
}"""
STATEMENTS = 3
"""The session and whose it is, the notifications, how many are unread."""
CROSSINGS = 0 if connection.vendor == "postgresql" else STATEMENTS
"""The event loop has connections to PostgreSQL of its own. SQLite is asked in a thread."""


class Counts:
    def __init__(self) -> None:
        self.statements: list[str] = []
        self.crossings: list[str] = []
        self.threads: list[str] = []

    def clear(self) -> None:
        for each in (self.statements, self.crossings, self.threads):
            each.clear()


@pytest.fixture
def counts(monkeypatch: pytest.MonkeyPatch) -> Counts:
    """Of the whole process, from here on."""
    counts = Counts()
    execute, fetch = CursorWrapper.execute, LoopConnections.fetch
    cross, start = SyncToAsync.__call__, threading.Thread.start

    def note_statement(cursor: CursorWrapper, sql: str, params: Any = None) -> Any:
        counts.statements.append(str(sql))
        return execute(cursor, sql, params)

    async def note_fetch(connections: LoopConnections, sql: str, parameters: Any) -> Any:
        counts.statements.append(sql)
        return await fetch(connections, sql, parameters)

    async def note_crossing(function: Any, *args: Any, **kwargs: Any) -> Any:
        counts.crossings.append(function.__qualname__)
        return await cross(function, *args, **kwargs)

    def note_thread(thread: threading.Thread) -> None:
        counts.threads.append(thread.name)
        start(thread)

    monkeypatch.setattr(CursorWrapper, "execute", note_statement)
    monkeypatch.setattr(LoopConnections, "fetch", note_fetch)
    monkeypatch.setattr(SyncToAsync, "__call__", note_crossing)
    monkeypatch.setattr(threading.Thread, "start", note_thread)
    return counts


@pytest.mark.parametrize("notifications", [4, 40])
async def test_it_works(api: ApiFor, alice: User, bob: User, counts: Counts, notifications: int) -> None:
    for number in range(notifications):
        await anotify([alice, bob], Announcement(title=f"News {number}"), actor=bob)
    client = await api(alice)
    await client.data(QUERY)  # starts a thread, once
    counts.clear()
    data = await client.data(QUERY)
    assert len(data["notifications"]["edges"]) == notifications
    assert len(counts.statements) == STATEMENTS, counts.statements
    assert len(counts.crossings) == CROSSINGS, counts.crossings
    assert counts.threads == []


async def test_a_visitor(api: ApiFor, transactional_db: None, counts: Counts) -> None:
    """Who asks for nothing that is kept costs no statement and no thread."""
    client = await api()
    await client.ask("{ __typename }")
    counts.clear()
    assert await client.data("{ __typename }") == {"__typename": "Query"}
    assert (counts.statements, counts.crossings, counts.threads) == ([], [], [])


async def test_the_first_in_a_minute(api: ApiFor, alice: User, counts: Counts, monkeypatch: pytest.MonkeyPatch) -> None:
    """It asks the background to note that: one crossing more. (And the background one statement, as nothing is due.)"""
    await anotify([alice], Announcement(title="News"))
    client = await api(alice)
    await client.data(QUERY)
    counts.clear()
    monkeypatch.setattr(activity, "_noted", {})  # as another process
    await client.data(QUERY)
    assert len(counts.statements) == STATEMENTS + 1, counts.statements
    assert len(counts.crossings) == CROSSINGS + 1, counts.crossings
