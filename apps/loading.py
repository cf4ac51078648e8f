"""What a queryset makes of its rows, as Django's `ModelIterable` does, but worked out once for all of its results."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import models
from django.db.models.expressions import ColPairs
from django.db.models.query import ModelIterable
from django.db.models.sql.compiler import SQLCompiler

type Row = list[Any]
type Converter = Callable[[Any, Any, Any], Any]
type Setter = Callable[[Any, Any], None]


@dataclass(frozen=True, slots=True)
class Part:
    """The columns that are one object, and what is related to it."""

    model: type[models.Model]
    names: list[str]
    columns: slice
    pk: int
    """Null in that column: there is no such object."""
    related: list[tuple["Part", Setter, Setter]]

    @staticmethod
    def of(compiler: SQLCompiler, info: dict[str, Any]) -> "Part":
        if info.get("from_parent"):
            raise NotImplementedError("Parents of models are not compiled.")
        columns = slice(info["select_fields"][0], info["select_fields"][-1] + 1)
        names = [column.target.attname for column, *_ in compiler.select[columns]]
        related = [
            (Part.of(compiler, other), other["local_setter"], other["remote_setter"])
            for other in info.get("related_klass_infos", ())
        ]
        model = info["model"]
        pk = columns.start + names.index(model._meta.pk_fields[0].attname)
        return Part(model, names, columns, pk, related)

    def load(self, row: Row, db: str, fetch_mode: Any) -> Any:
        one = self.model.from_db(db, self.names, row[self.columns], fetch_mode=fetch_mode)
        for part, set_here, set_there in self.related:
            if row[part.pk] is None:
                set_here(one, None)
            else:
                other = part.load(row, db, fetch_mode)
                set_here(one, other)
                set_there(other, one)
        return one


class Loader[M: models.Model]:
    """Of one queryset of objects, with or without `select_related` and annotations."""

    def __init__(self, queryset: Any, compiler: SQLCompiler) -> None:
        """By a compiler that has made the SQL. Raises `NotImplementedError` for what is seldom used."""
        expressions = [column[0] for column in compiler.select or ()]
        if (
            queryset._iterable_class is not ModelIterable
            or queryset._known_related_objects
            or queryset._fetch_mode.track_peers
            or any(isinstance(expression, ColPairs) for expression in expressions)
        ):
            raise NotImplementedError(
                "Values, related managers' objects, their peers and composite keys are not compiled."
            )
        self._db = queryset.db
        self._fetch_mode = queryset._fetch_mode
        self._object = Part.of(compiler, compiler.klass_info)
        self._annotations = list((compiler.annotation_col_map or {}).items())
        self._converters: list[tuple[int, Sequence[Converter], Any]] = [
            (column, converters, expression)
            for column, (converters, expression) in compiler.get_converters(expressions).items()
        ]

    def __call__(self, rows: Iterable[Sequence[Any]], connection: Any) -> list[M]:
        loaded = []
        for row in map(list, rows):
            for column, converters, expression in self._converters:
                for convert in converters:
                    row[column] = convert(row[column], expression, connection)
            one = self._object.load(row, self._db, self._fetch_mode)
            for name, column in self._annotations:
                setattr(one, name, row[column])
            loaded.append(one)
        return loaded
