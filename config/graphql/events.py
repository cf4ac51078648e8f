"""Events of a subscription by the compiled path. For each, graphql-core would execute an operation anew.

There is one root field, and its value is the event: its resolver has made it. So where the selections below that field
are compiled, as they are from the first event on, writing it is all there is to do. Then whoever sends the events takes
them from where they come from, and not through the five layers by which results come out of Strawberry. The plain path
goes on where they are not compiled, and where there is something wrong with an event.
"""

from collections.abc import AsyncIterable, AsyncIterator
from contextvars import ContextVar
from typing import Any, Self, cast

from strawberry.extensions import SchemaExtension

from config.graphql.selections import Executor
from config.graphql.writers import DEFINITION, Write

_asked: "ContextVar[Events | None]" = ContextVar("events", default=None)


class EventsExecutor(Executor):
    def cancellable_iterable[T](self, iterable: AsyncIterable[T]) -> AsyncIterable[T]:
        """What graphql-core asks for the events."""
        iterable = super().cancellable_iterable(iterable)
        if (events := _asked.get()) is None or self._is_watched():
            return iterable
        _asked.set(None)
        return events.of(self, iterable)

    def _is_watched(self) -> bool:
        """By an extension, which would have to see each result."""
        extensions = map(type, self.schema.extensions[DEFINITION].get_extensions())
        hooks = ("on_stream_result", "get_results")
        return any(getattr(one, hook) is not getattr(SchemaExtension, hook) for one in extensions for hook in hooks)


class Events:
    """Those of the next subscription that the running task begins. They come one by one: here, or out of Strawberry.

    Its stream of results is given the first one, and stays responsible for all: to close it closes them.
    """

    __slots__ = ("_compiled", "_executor", "_failure", "_left", "_source")

    def __init__(self) -> None:
        self._executor: EventsExecutor | None = None
        self._source: AsyncIterator[Any]
        self._compiled: tuple[str, Write] | None = None
        self._left: list[Any] = []  # an event that only the plain path can write
        self._failure: Exception | None = None
        _asked.set(self)

    def of(self, executor: EventsExecutor, source: AsyncIterable[Any]) -> Self:
        self._executor, self._source = executor, aiter(source)
        return self

    async def next_data(self) -> dict[str, Any] | None:
        """The `data` of the next result. None: that comes out of Strawberry, or there is none."""
        if self._compiled is None and not self._find_compiled():
            return None
        key, write = cast(tuple[str, Write], self._compiled)
        try:
            event = await anext(self._source)
        except Exception as failure:
            self._failure = failure
            return None
        try:
            return {key: write(event)}
        except Exception:
            self._left.append(event)
            return None

    def _find_compiled(self) -> bool:
        writers = self._executor and self._executor._writers
        match list(writers.items()) if writers else []:
            case [(key, write)] if write:
                self._compiled = key, write
                return True
        return False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        """For graphql-core."""
        if self._left:
            return self._left.pop()
        if self._failure:
            raise self._failure
        return await anext(self._source)

    async def aclose(self) -> None:
        """For graphql-core."""
        if hasattr(self._source, "aclose"):
            await self._source.aclose()
