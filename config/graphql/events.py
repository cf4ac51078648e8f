"""Events of a subscription by the compiled path. For each, graphql-core would execute an operation anew.

There is one root field, and its value is the event: its resolver has made it. So where the selections below that field
are compiled, as they are from the first event on, writing it is all there is to do. The plain path answers where they
are not, and where there is something wrong with an event.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

from graphql import ExecutionResult

from config.graphql.selections import Executor, Write


class EventsExecutor(Executor):
    def build_per_event_executor(self, payload: Any) -> Any:
        plain = partial(super().build_per_event_executor, payload)
        match list(self._writers.items()) if self._writers else []:
            case [(key, write)] if write:
                return _Event(key, write, payload, plain)
        return plain()


class _Event:
    """All of an executor that is asked of one for an event."""

    __slots__ = ("_key", "_payload", "_plain", "_write")

    def __init__(self, key: str, write: Write, payload: Any, plain: Callable[[], Any]) -> None:
        self._key = key
        self._write = write
        self._payload = payload
        self._plain = plain

    def execute_operation(self, serially: bool | None = None) -> Any:
        try:
            return ExecutionResult({self._key: self._write(self._payload)}, None)
        except Exception:
            return self._plain().execute_operation(serially)
