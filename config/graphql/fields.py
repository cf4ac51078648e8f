"""What guards each root field of the schema, whichever app it is from."""

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

from strawberry.extensions import FieldExtension
from strawberry.extensions.field_extension import AsyncExtensionResolver
from strawberry.relay import GlobalID
from strawberry.types import Info, get_object_definition
from strawberry.types.arguments import StrawberryArgument
from strawberry.types.base import StrawberryContainer
from strawberry.types.field import StrawberryField

from apps.errors import BadUserInput
from apps.users.types import Text

logger = logging.getLogger(__name__)

_ID = Text(trimmed=False)
"""The rule for what an id holds."""


def state_text_rule(nodes: Iterable[StrawberryArgument | StrawberryField], seen: frozenset[type] = frozenset()) -> None:
    """Gives every argument that is text, and every field below one, the rule for text, so that the schema states it."""
    for node in nodes:
        inner: Any = node.type
        while isinstance(inner, StrawberryContainer):
            inner = inner.of_type
        if inner is str and not any(isinstance(directive, Text) for directive in node.directives):
            node.directives = [*node.directives, Text()]
        elif inner not in seen and (definition := get_object_definition(inner)):
            state_text_rule(definition.fields, seen | {inner})


class TextArguments(FieldExtension):
    """Keeps the rule that the schema states: no text reaches a resolver that a database can't keep."""

    def __init__(self, field: StrawberryField) -> None:
        self._rules = {argument.python_name: _rule(argument) for argument in field.arguments}

    def map_arguments(self, kwargs: dict[str, Any]) -> dict[str, Any]:
        try:
            return {name: _read(value, self._rules[name]) for name, value in kwargs.items()}
        except RecursionError as error:
            raise BadUserInput("An argument is nested too deeply.") from error


def _rule(node: StrawberryArgument | StrawberryField) -> Text:
    return next((directive for directive in node.directives if isinstance(directive, Text)), Text())


def _read(value: Any, rule: Text) -> Any:
    if type(value) is str:
        return rule.read(value)
    if isinstance(value, list):
        return [_read(one, rule) for one in value]
    if isinstance(value, GlobalID):
        _ID.read(value.node_id)
    elif definition := get_object_definition(value):
        for field in definition.fields:
            setattr(value, field.python_name, _read(getattr(value, field.python_name), _rule(field)))
    return value


class Uninterrupted(FieldExtension):
    """A mutation, once begun, runs to its end: also when nobody waits for its answer any more."""

    async def resolve_async(self, next_: AsyncExtensionResolver, source: Any, info: Info, **kwargs: Any) -> Any:
        task = asyncio.ensure_future(next_(source, info, **kwargs))
        interruption = None
        while not task.done():
            try:
                await asyncio.wait([task])
            except asyncio.CancelledError as error:
                interruption = error
        if interruption:
            if failure := task.exception():
                logger.warning("A mutation failed that nobody waited for any more", exc_info=failure)
            raise interruption
        return task.result()
