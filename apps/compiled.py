"""Querysets that are built and compiled once, and asked many times.

For each call Django makes the same SQL anew, which takes it several times as long as asking the database. What each
page of the site asks is made once here: by Django, from an ordinary queryset in which `Given` stands wherever each call
has a value of its own. What comes back is what the queryset would load.
"""

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.db import connections, models
from django.db.models import Expression
from django.db.models.query import ModelIterable
from django.db.models.sql.compiler import SQLCompiler


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
    def _compiled(self) -> tuple[Any, str, tuple[Any, ...]]:
        compiler = self._queryset.query.get_compiler(self._queryset.db)
        sql, parameters = compiler.as_sql()
        return compiler, sql, tuple(parameters)

    def __call__(self, **values: Any) -> list[M]:
        """Asks the database, with a value for each `Given`."""
        compiled, sql, parameters = self._compiled
        connection = connections[self._queryset.db]
        given = tuple(
            one.output_field.get_db_prep_value(values[one.name], connection) if isinstance(one, Given) else one
            for one in parameters
        )
        compiler = copy(compiled)
        compiler.connection = connection  # this thread's
        compiler.as_sql = lambda: (sql, given)
        return list(ModelIterable(_Asked(self._queryset, compiler)))  # type: ignore[arg-type]


@dataclass
class _Asked:
    """All of a queryset, and of its query, that loading its objects takes."""

    queryset: Any
    compiler: SQLCompiler

    def __getattr__(self, name: str) -> Any:
        return getattr(self.queryset, name)

    @property
    def query(self) -> "_Asked":
        return self

    def get_compiler(self, using: str) -> SQLCompiler:
        return self.compiler
