"""The base of every model: relations are loaded on purpose, never on touch.

Django loads a relation when an attribute is read. On an event loop that is `SynchronousOnlyOperation`, in a thread it
is a query nobody asked for. Here it is `FieldFetchBlocked`, at once and everywhere, sync tests included: whoever needs
a relation names it in `select_related`. (A related manager's `.all()` is a query in plain sight and stays one.)
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import cache
from inspect import getattr_static
from typing import Any, Self

from django.db import DEFAULT_DB_ALIAS, models
from django.db.models import FETCH_RAISE
from django.db.models.base import ModelState
from django.db.models.fields.related_descriptors import ForeignKeyDeferredAttribute
from django.db.models.query_utils import DeferredAttribute
from django.db.models.signals import post_init, pre_init


class QuerySet[M: models.Model](models.QuerySet[M]):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._fetch_mode = FETCH_RAISE


class Model(models.Model):
    objects = QuerySet.as_manager()

    class Meta:
        abstract = True
        base_manager_name = "objects"  # Django's own look-ups, such as `refresh_from_db`, load the same way

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._state.fetch_mode = FETCH_RAISE  # for objects made in code, which no queryset loaded

    @classmethod
    def from_db(  # type: ignore[override]  # whose stubs do not know `fetch_mode` yet
        cls, db: str | None, field_names: Collection[str], values: Sequence[Any], *, fetch_mode: Any = None
    ) -> Self:
        """As Django's, but that it sets the attributes and nothing else: the constructor takes five times as long."""
        is_whole = len(values) == len(cls._meta.concrete_fields)
        if not is_whole or not _is_plain(cls) or _is_heard(cls):
            return super().from_db(db, field_names, values, fetch_mode=fetch_mode)
        return loaded(cls, zip(field_names, values, strict=True), db, fetch_mode or FETCH_RAISE)


def loaded[M: models.Model](
    model: type[M],
    attributes: Iterable[tuple[str, Any]] | Mapping[str, Any],
    db: str | None = DEFAULT_DB_ALIAS,
    fetch_mode: Any = FETCH_RAISE,
) -> M:
    """One as a queryset would load it, whose columns these are. For models whose constructor only sets attributes."""
    one = model.__new__(model)
    one._state = state = ModelState()
    state.adding, state.db, state.fetch_mode = False, db, fetch_mode
    vars(one).update(attributes)  # in place: another `dict` would take twice the room
    return one


@cache
def _is_plain(model: type[models.Model]) -> bool:
    """Whether the constructor does nothing but set attributes, and setting them does nothing else."""
    columns = {type(getattr_static(model, field.attname)) for field in model._meta.concrete_fields}
    return (
        model.__init__ is Model.__init__
        and model.__setattr__ is models.Model.__setattr__
        and columns <= {DeferredAttribute, ForeignKeyDeferredAttribute}
    )


def _is_heard(model: type[models.Model]) -> bool:
    """Whether somebody wants to know of each object that is made."""
    if not pre_init.receivers and not post_init.receivers:
        return False
    return pre_init.has_listeners(model) or post_init.has_listeners(model)
