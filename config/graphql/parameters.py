"""What a request for an operation has to look like, whichever door it comes to."""

import json
import math
from typing import Any, NamedTuple, Self

MAX_BYTES = 512 * 1024
"""Of JSON in one request over HTTP."""
MAX_VALUES = 5_000
"""In all variables together. What is wrong with each of many is a lot to say."""


class Malformed(ValueError):
    """What came is no request for an operation. The text is for whoever wrote the client."""


class Parameters(NamedTuple):
    """The parameters of the GraphQL over HTTP specification, which are also the payload of `subscribe`."""

    query: str
    variables: dict[str, Any] | None
    operation_name: str | None

    @classmethod
    def of(cls, request: Any) -> Self:
        """Raises `Malformed`."""
        if isinstance(request, list):
            raise Malformed("One operation at a time: batches are not served.")
        if not isinstance(request, dict):
            raise Malformed("A request must be a JSON object.")
        match request.get("query"), request.get("variables"), request.get("operationName"), request.get("extensions"):
            case str(query), dict() | None as variables, str() | None as operation_name, dict() | None:
                if _holds_more(variables, MAX_VALUES):
                    raise Malformed(f"`variables` hold more than {MAX_VALUES:,} values.")
                return cls(query, variables, operation_name)
            case str(), dict() | None, str() | None, _:
                raise Malformed("`extensions` must be an object.")
            case str(), dict() | None, _, _:
                raise Malformed("`operationName` must be a string.")
            case str(), _, _, _:
                raise Malformed("`variables` must be an object.")
        raise Malformed("`query` must be a string: the document.")


def _holds_more(value: Any, limit: int) -> bool:
    todo = [value]
    count = 0
    while todo and count <= limit:
        value = todo.pop()
        count += 1
        if isinstance(value, dict):
            todo.extend(value.values())
        elif isinstance(value, list):
            todo.extend(value)
    return count > limit


def read_json(text: str | bytes) -> Any:
    """As JSON says, and nothing more: no NaN, no key twice. Raises `Malformed`."""
    try:
        if isinstance(text, bytes):
            text = text.decode("utf-8-sig")  # else it would take UTF-16 too
        return json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse, parse_float=_finite)
    except Malformed:
        raise
    except (RecursionError, ValueError) as error:  # also for bytes that are no text, and a number of 5,000 digits
        raise Malformed("This can't be read as JSON.") from error


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        raise Malformed("An object has the same key twice.")
    return result


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise Malformed("A number is too large.")
    return number


def _refuse(constant: str) -> None:
    raise Malformed(f"{constant} is no JSON.")
