"""PostgreSQL, asked no more than it has to be: neither to plan a statement again, nor whether it is still there."""

import select
from typing import TYPE_CHECKING, Any, Self

from django.conf import settings
from psycopg import Connection
from psycopg.errors import FeatureNotSupported
from psycopg.pq import TransactionStatus
from psycopg_pool import ConnectionPool

if TYPE_CHECKING:
    from psycopg import Cursor as ServerBindingCursor
else:
    from django.db.backends.postgresql.base import ServerBindingCursor


class Cursor(ServerBindingCursor):
    """Forgets prepared statements whose result has another type since a migration: PostgreSQL would refuse them for
    ever. (In a transaction psycopg forgets them at the rollback.)"""

    def execute(self, query: Any, params: Any = None, **options: Any) -> Self:
        try:
            return super().execute(query, params, **options)
        except FeatureNotSupported:
            if self.connection.info.transaction_status != TransactionStatus.IDLE:
                raise
            self.connection.execute("DEALLOCATE ALL")
            return super().execute(query, params, **options)


def check_connection(connection: Connection[Any]) -> None:
    """Whether one from the pool still works: else it raises, and the pool takes another.

    A server that goes away says so, or the kernel does; on a connection where nobody has asked anything, there is
    nothing else to read. So only then the server is asked, with a statement.
    """
    waiting = select.poll()
    waiting.register(connection.fileno(), select.POLLIN)
    if waiting.poll(0):
        ConnectionPool.check_connection(connection)


def spare_postgresql() -> None:
    """For this process; before its first connection."""
    for database in settings.DATABASES.values():
        if database["ENGINE"] == "django.db.backends.postgresql":
            options = database["OPTIONS"]
            if options.get("server_side_binding"):
                options.setdefault("cursor_factory", Cursor)
            if hasattr(select, "poll") and isinstance(options.get("pool"), dict):
                options["pool"].setdefault("check", check_connection)
