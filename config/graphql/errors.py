"""What a client is told when something goes wrong: always a code, and never more than it is meant to know."""

import logging
import secrets
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import OperationalError
from graphql import GraphQLError, GraphQLSyntaxError
from psycopg.errors import QueryCanceled
from strawberry.exceptions import MissingQueryError, StrawberryInputCoercionError
from strawberry.relay import GlobalIDValueError
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types.execution import ExecutionResult, PreExecutionError

from apps.errors import Refusal
from config.graphql.limits import MAX_ERRORS

logger = logging.getLogger(__name__)

REQUEST_CODES = {
    "GRAPHQL_PARSE_FAILED",
    "GRAPHQL_VALIDATION_FAILED",
    "OPERATION_RESOLUTION_FAILURE",
    "TOO_COMPLEX",
}
"""Of errors for which nothing was executed, wherever they come up."""
PARSER_LIMIT = "Parsing aborted."
"""How graphql-core ends what it says of a document with too many tokens or brackets,"""
VALIDATION_LIMIT = "Validation aborted."
"""and all that it says of one that takes too long to validate."""
MAX_MESSAGE = 300
"""Characters. A message may quote what came, however long that is."""


def response(result: ExecutionResult) -> dict[str, Any]:
    """The result as a client gets it. Without `data` where nothing was executed, as the specification asks."""
    errors = (result.errors or [])[: MAX_ERRORS if result.data is None else None]
    formatted = [formatted_error(error, refused=isinstance(result, PreExecutionError)) for error in errors]
    if result.data is None and errors and all(map(_is_request_error, formatted)):
        return {"errors": formatted}
    return {"data": result.data, "errors": formatted} if formatted else {"data": result.data}


def error_response(message: str, code: str) -> dict[str, Any]:
    """The same for what is refused before there is a document."""
    return {"errors": [{"message": message, "extensions": {"code": code}}]}


def failure(error: Exception) -> ExecutionResult:
    """The result of an operation that Strawberry could not begin."""
    match error:
        case MissingQueryError():
            return PreExecutionError(data=None, errors=[GraphQLError("The document is empty.", original_error=error)])
        case CannotGetOperationTypeError(operation_name=str(name)):
            message = f'There is no operation named "{name}".'
        case CannotGetOperationTypeError():
            message = "There is no operation to execute."
        case InvalidOperationTypeError():
            message = "Subscriptions are served over a WebSocket at this address, by graphql-transport-ws."
        case _:
            message = str(error)
    return PreExecutionError(data=None, errors=[GraphQLError(message, original_error=error)])


def formatted_error(error: GraphQLError, *, refused: bool) -> dict[str, Any]:
    """The error as a client gets it; `refused` says that nothing was executed."""
    message, extensions = _message_and_code(error, refused)
    if len(message) > MAX_MESSAGE:
        message = f"{message[: MAX_MESSAGE - 1]}…"
    formatted: dict[str, Any] = {"message": message, "extensions": extensions}
    if error.locations:
        formatted["locations"] = [location.formatted for location in error.locations]
    if error.path:
        formatted["path"] = error.path
    return formatted


def _is_request_error(formatted: dict[str, Any]) -> bool:
    code = formatted["extensions"]["code"]
    return code in REQUEST_CODES or (code == "BAD_USER_INPUT" and "path" not in formatted)


def _message_and_code(error: GraphQLError, refused: bool) -> tuple[str, dict[str, Any]]:
    match error.original_error:
        case Refusal(code=code) as refusal:
            return str(refusal), {"code": code}
        case PermissionDenied() as denied:
            return str(denied) or "This is not allowed.", {"code": "FORBIDDEN"}
        case ValidationError() as wrong:
            return " ".join(wrong.messages), {"code": "BAD_USER_INPUT"}
        case GlobalIDValueError() | StrawberryInputCoercionError():
            return "An argument can't be read as what it should be.", {"code": "BAD_USER_INPUT"}
        case MissingQueryError():
            return error.message, {"code": "GRAPHQL_PARSE_FAILED"}
        case CannotGetOperationTypeError() | InvalidOperationTypeError():
            return error.message, {"code": "OPERATION_RESOLUTION_FAILURE"}
        case RecursionError() if refused:
            return "The document is nested too deeply.", {"code": "TOO_COMPLEX"}
        case OperationalError(__cause__=QueryCanceled()):
            return "This took too long.", {"code": "TIMEOUT"}
        case None | GraphQLError() if "code" in (error.extensions or {}):
            return error.message, {"code": error.extensions["code"]}  # type: ignore[index]
        case None if isinstance(error, GraphQLSyntaxError):
            code = "TOO_COMPLEX" if error.message.endswith(PARSER_LIMIT) else "GRAPHQL_PARSE_FAILED"
            return error.message, {"code": code}
        case None if error.message == VALIDATION_LIMIT:
            return "The document takes too long to validate.", {"code": "TOO_COMPLEX"}
        case None if refused:
            return _without_suggestions(error.message), {"code": "GRAPHQL_VALIDATION_FAILED"}
        case None | GraphQLError():  # a variable's value
            return _without_suggestions(error.message), {"code": "BAD_USER_INPUT"}
        case unexpected:
            reference = secrets.token_hex(8)
            where = ".".join(str(step) for step in error.path or [])
            logger.error("Internal error %s at %s", reference, where, exc_info=unexpected)
            return "Internal error.", {"code": "INTERNAL_ERROR", "reference": reference}


def _without_suggestions(message: str) -> str:
    """In production what is not asked for by its name stays unknown, as it is for introspection."""
    return message if settings.DEBUG else message.partition(" Did you mean ")[0]
