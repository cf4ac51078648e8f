"""One connection to PostgreSQL, driven by an event loop: psycopg's, on the shortest way that a statement can take.

psycopg makes a cursor for each statement, and has the loop watch the socket anew whenever it waits. Here the loop
watches it all along, and what the server knows of a statement is kept: that takes half the time.
"""

import asyncio
import re
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache
from itertools import count
from typing import Any

from psycopg import AsyncConnection, Error, OperationalError
from psycopg.adapt import PyFormat, Transformer
from psycopg.errors import error_from_result
from psycopg.pq import ExecStatus, TransactionStatus
from psycopg.pq.abc import PGresult

SECONDS = 5
"""How long a statement, whose asker has gone, is given to end."""
MAX_PREPARED = 100
"""Statements that a connection keeps at the server; the next ones are sent as they are."""


class LoopConnection:
    """Serves one statement at a time. Only its own loop may touch it."""

    def __init__(self, connection: AsyncConnection[Any]) -> None:
        """Has the running loop take the connection over, with all its settings and adapters."""
        self.closed = False
        self._connection = connection
        self._pq = connection.pgconn
        self._transformer = Transformer(connection)
        self._prepared: dict[tuple[str, tuple[int, ...]], bytes] = {}
        self._numbers = count()
        self._results: list[PGresult] = []
        self._asked: asyncio.Future[list[PGresult]] | None = None
        self._loop = asyncio.get_running_loop()
        self._socket = self._pq.socket
        self._loop.add_reader(self._socket, self._read)

    async def fetch(self, sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
        """All rows. Raises psycopg's errors."""
        values = self._transformer.dump_sequence(parameters, [PyFormat.AUTO] * len(parameters))
        types, formats = self._transformer.types or (), self._transformer.formats
        name = self._prepared.get((sql, types))
        if name is None and self._connection.prepare_threshold is not None and len(self._prepared) < MAX_PREPARED:
            name = f"loop_{next(self._numbers)}".encode()
            self._pq.send_prepare(name, _numbered(sql), types)
            await self._answer()
            self._prepared[sql, types] = name
        if name is None:
            self._pq.send_query_params(_numbered(sql), values, types, formats)
        else:
            self._pq.send_query_prepared(name, values, formats)
        result = await self._answer()
        try:
            self._transformer.set_pgresult(result)
            return self._transformer.load_rows(0, result.ntuples, tuple)
        finally:
            self._transformer.set_pgresult(None)  # or it would be kept

    async def _answer(self) -> PGresult:
        try:
            results = await self._sent()
        except asyncio.CancelledError:
            with suppress(Error, TimeoutError):
                async with asyncio.timeout(SECONDS):
                    await self._cancel()
            raise
        if results[0].status == ExecStatus.FATAL_ERROR:
            raise error_from_result(results[0], self._connection.info.encoding)
        return results[0]

    async def _cancel(self) -> None:
        """Ends the statement, unless it ends by itself meanwhile."""
        if self._is_active():
            await self._connection.cancel_safe()
        if self._is_active():
            await self._sent()

    def _is_active(self) -> bool:
        return self._pq.transaction_status == TransactionStatus.ACTIVE

    async def _sent(self) -> list[PGresult]:
        """What the server says to all that was sent."""
        self._asked = self._loop.create_future()
        while self._pq.flush():
            await self._writable()
        return await self._asked

    async def _writable(self) -> None:
        writable = asyncio.Event()
        self._loop.add_writer(self._socket, writable.set)
        try:
            await writable.wait()
        finally:
            self._loop.remove_writer(self._socket)

    def _read(self) -> None:
        """Called by the loop as soon as there is something to read, be it that the server has gone."""
        try:
            self._pq.consume_input()
            while not self._pq.is_busy() and (result := self._pq.get_result()):
                self._results.append(result)
            if self._is_active():
                return
        except OperationalError as error:
            self.close()
            self._end(error)
        else:
            self._end()

    def _end(self, error: OperationalError | None = None) -> None:
        asked, self._asked = self._asked, None
        results, self._results = self._results, []
        if asked is None or asked.done():
            return
        if error:
            asked.set_exception(error)
        else:
            asked.set_result(results)

    @property
    def idle(self) -> bool:
        """Whether it may serve another statement."""
        return self._pq.transaction_status == TransactionStatus.IDLE

    def close(self) -> None:
        if self.closed:
            return
        self.closed = True
        if not self._loop.is_closed():
            self._loop.remove_reader(self._socket)  # even if libpq has closed it: its number will be another one's
        self._pq.finish()


@lru_cache(maxsize=1_000)
def _numbered(sql: str) -> bytes:
    """With `$1` for the first `%s`, as PostgreSQL has it, and so on."""
    numbers = count(1)
    return re.sub("%([s%])", lambda found: f"${next(numbers)}" if found[1] == "s" else "%", sql).encode()
