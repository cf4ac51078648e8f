"""No text reaches a resolver that a database can't keep: NUL, or half of a surrogate pair."""

from dataclasses import fields, is_dataclass
from typing import Any

from strawberry.extensions import FieldExtension
from strawberry.extensions.field_extension import AsyncExtensionResolver
from strawberry.types import Info

from apps.errors import BadUserInput


class ReadableText(FieldExtension):
    """Refuses a root field with an argument that holds unreadable text, however deep."""

    async def resolve_async(self, next_: AsyncExtensionResolver, source: Any, info: Info, **kwargs: Any) -> Any:
        for name, value in kwargs.items():
            if not is_readable(value):
                raise BadUserInput(f"`{name}` holds characters that are no text.")
        return await next_(source, info, **kwargs)


def is_readable(value: Any) -> bool:
    match value:
        case str():
            return "\0" not in value and _is_encodable(value)
        case list():
            return all(map(is_readable, value))
    if is_dataclass(value):
        return all(is_readable(getattr(value, field.name)) for field in fields(value))
    return True


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
