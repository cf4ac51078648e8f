"""The base of every model: relations are loaded on purpose, never on touch.

Django loads a relation when an attribute is read. On an event loop that is `SynchronousOnlyOperation`, in a thread it
is a query nobody asked for. Here it is `FieldFetchBlocked`, at once and everywhere, sync tests included: whoever needs
a relation names it in `select_related`. (A related manager's `.all()` is a query in plain sight and stays one.)
"""

from typing import Any

from django.db import models
from django.db.models import FETCH_RAISE


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
