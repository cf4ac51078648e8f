"""Connections to PostgreSQL for the event loop: who asks over one of them visits no thread.

Django asks in threads, and there and back takes longer than most statements; with many at once, threads and loop wait
for each other's turn with the interpreter. These are for single statements that read, beside Django's own connections,
which have all that is more: transactions, and what depends on them.
"""

import asyncio
from typing import Any

from django.conf import settings
from django.db import connections
from psycopg import AsyncConnection, OperationalError
from psycopg.errors import FeatureNotSupported

from apps.loop_connection import LoopConnection

SECONDS = 10
"""How long a statement waits for a connection."""
USUAL_SIZE = 4
"""Of a pool whose settings name none, as psycopg has it."""


class LoopConnections:
    """Of one event loop to one database: as many as its pool for threads has, made when they are needed."""

    def __init__(self, alias: str) -> None:
        self.loop = asyncio.get_running_loop()
        self.idle: list[LoopConnection] = []
        self.django = connections.create_connection(alias)
        """Django's, which never connects: it knows how to, and what values look like."""
        pool = self.django.settings_dict["OPTIONS"]["pool"]
        size = USUAL_SIZE if pool is True else pool.get("max_size") or pool.get("min_size", USUAL_SIZE)
        self._room = asyncio.Semaphore(size)

    async def fetch(self, sql: str, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        """All rows. Raises Django's errors."""
        with self.django.wrap_database_errors:
            await self._take_room()
            try:
                if connection := self._pop_open():
                    try:
                        return await self._fetch(connection, sql, parameters)
                    except (OperationalError, FeatureNotSupported):
                        if not connection.closed:
                            raise
                        # PostgreSQL was restarted, or what was prepared is from before a migration: for all of these.
                        self.close()
                return await self._fetch(await self._connect(), sql, parameters)
            finally:
                self._room.release()

    def _pop_open(self) -> LoopConnection | None:
        while self.idle:
            if not (connection := self.idle.pop()).closed:
                return connection
        return None

    async def _take_room(self) -> None:
        if not self._room.locked():
            await self._room.acquire()
            return
        try:
            async with asyncio.timeout(SECONDS):
                await self._room.acquire()
        except TimeoutError as error:
            raise OperationalError(f"no connection became free in {SECONDS} seconds") from error

    async def _fetch(self, connection: LoopConnection, sql: str, parameters: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        try:
            return await connection.fetch(sql, parameters)
        except FeatureNotSupported:
            connection.close()
            raise
        finally:
            if connection.idle and not self.loop.is_closed():
                self.idle.append(connection)
            else:
                connection.close()  # it broke, or whoever asked has gone

    async def _connect(self) -> LoopConnection:
        """As Django does, and its pool."""
        parameters = self.django.get_connection_params()
        del parameters["cursor_factory"]
        try:
            async with asyncio.timeout(SECONDS):
                connection = await AsyncConnection.connect(**parameters, autocommit=True)
                try:
                    await self._configure(connection)
                except BaseException:
                    connection.pgconn.finish()
                    raise
        except TimeoutError as error:
            raise OperationalError(f"no connection could be made in {SECONDS} seconds") from error
        return LoopConnection(connection)

    async def _configure(self, connection: AsyncConnection[Any]) -> None:
        role = self.django.settings_dict["OPTIONS"].get("assume_role")
        for name, value in {"TimeZone": self.django.timezone_name, "role": role}.items():
            if value and connection.info.parameter_status(name) != value:
                await connection.execute("SELECT set_config(%s, %s, false)", [name, value])

    def close(self) -> None:
        """Those that nobody is using."""
        for connection in self.idle:
            connection.close()
        self.idle.clear()


_by_loop: dict[tuple[asyncio.AbstractEventLoop, str], LoopConnections] = {}


def loop_connections(alias: str) -> LoopConnections | None:
    """The running loop's. None where a database has no pool, and is asked in threads: SQLite, first of all."""
    key = (asyncio.get_running_loop(), alias)
    if key not in _by_loop:
        if not settings.DATABASES[alias].get("OPTIONS", {}).get("pool"):
            return None
        close_abandoned()
        _by_loop[key] = LoopConnections(alias)
    return _by_loop[key]


def close_abandoned() -> None:
    """Closes what loops have left that are closed themselves."""
    for key in [(loop, alias) for loop, alias in _by_loop if loop.is_closed()]:
        _by_loop.pop(key).close()
