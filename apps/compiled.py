"""Querysets that are built and compiled once, and asked many times.

For each call Django makes the same SQL anew, which takes it several times as long as asking the database. What each
page of the site asks is made once here: by Django, from an ordinary queryset in which `Given` stands wherever each call
has a value of its own. What comes back is what the queryset would load.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Any

from channels.db import database_sync_to_async
from django.db import connections, models
from django.db.models import Expression
from django.db.models.sql.compiler import SQLCompiler

from apps.loading import Loader
from apps.loop_connections import loop_connections


class Given(Expression):
    """The value of that name in each call, of that kind of field. Never None, which in SQL is another statement."""

    def __init__(self, name: str, field: "models.Field[Any, Any]") -> None:
        super().__init__(output_field=field)
        self.name = name

    def as_sql(self, compiler: SQLCompiler, connection: Any) -> tuple[str, tuple[Any, ...]]:
        return "%s", (self,)


class Compiled[M: models.Model]:
    """A queryset of objects, with or without `select_related`, annotations and a slice."""

    def __init__(self, build: Callable[[], models.QuerySet[M]]) -> None:
        """`build` is called at the first call, and never again."""
        self._build = build

    @cached_property
    def _queryset(self) -> models.QuerySet[M]:
        return self._build()

    @cached_property
    def _compiled(self) -> tuple[str, tuple[Any, ...], Loader[M]]:
        compiler = self._queryset.query.get_compiler(self._queryset.db)
        sql, parameters = compiler.as_sql()
        return sql, tuple(parameters), Loader(self._queryset, compiler)

    def __call__(self, **values: Any) -> list[M]:
        """Asks the database, with a value for each `Given`."""
        connection = connections[self._queryset.db]
        sql, parameters, load = self._compiled
        with connection.cursor() as cursor:
            cursor.execute(sql, _given(parameters, values, connection))
            return load(cursor.fetchall(), connection)

    async def alist(self, **values: Any) -> list[M]:
        """The same on an event loop, and without a thread where the database has connections for loops."""
        connections_of_loop = loop_connections(self._queryset.db)
        if connections_of_loop is None or "_compiled" not in vars(self):  # to compile it may take asking the database
            return await database_sync_to_async(self.__call__)(**values)
        connection = connections_of_loop.django
        sql, parameters, load = self._compiled
        return load(await connections_of_loop.fetch(sql, _given(parameters, values, connection)), connection)


def _given(parameters: tuple[Any, ...], values: dict[str, Any], connection: Any) -> tuple[Any, ...]:
    return tuple(
        one.output_field.get_db_prep_value(values[one.name], connection) if isinstance(one, Given) else one
        for one in parameters
    )
