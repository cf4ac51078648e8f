"""What a client is told when something goes wrong: always a code, and never more than it is meant to know."""

import logging
import secrets
from collections.abc import Iterator, Sequence
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from graphql import GraphQLError, GraphQLSyntaxError
from strawberry.exceptions import StrawberryInputCoercionError
from strawberry.extensions import SchemaExtension
from strawberry.relay import GlobalIDValueError
from strawberry.types.execution import PreExecutionError

from apps.errors import Refusal

logger = logging.getLogger(__name__)


class ErrorCodes(SchemaExtension):
    """Gives every error its code, and hides those that nobody expected behind a reference that the log has too."""

    def on_operation(self) -> Iterator[None]:
        self._streamed = False
        yield
        result = self.execution_context.result
        if not self._streamed:  # else it is the stream's last result, and dealt with
            _replace_errors(result, invalid=isinstance(result, PreExecutionError))

    def on_stream_result(self, result: Any) -> Iterator[None]:
        self._streamed = True
        _replace_errors(result, invalid=isinstance(result, PreExecutionError))
        yield


def _replace_errors(result: Any, *, invalid: bool) -> None:
    if errors := getattr(result, "errors", None):
        result.errors = [with_code(error, invalid=invalid) for error in errors]


def with_code(error: GraphQLError, *, invalid: bool) -> GraphQLError:
    """The error as the client gets it; `invalid` says that the document itself was refused."""
    match error.original_error:
        case Refusal(code=code) as refusal:
            return _coded(error, str(refusal), code)
        case PermissionDenied() as denied:
            return _coded(error, str(denied) or "This is not allowed.", "FORBIDDEN")
        case ValidationError() as wrong:
            return _coded(error, " ".join(wrong.messages), "BAD_USER_INPUT")
        case GlobalIDValueError() | StrawberryInputCoercionError():
            return _coded(error, "An argument can't be read as what it should be.", "BAD_USER_INPUT")
        case None | GraphQLError() if "code" in (error.extensions or {}):
            return error
        case None if isinstance(error, GraphQLSyntaxError):
            return _coded(error, error.message, "GRAPHQL_PARSE_FAILED")
        case None if invalid:
            return _coded(error, error.message, "GRAPHQL_VALIDATION_FAILED")
        case None | GraphQLError():  # a variable's value
            return _coded(error, error.message, "BAD_USER_INPUT")
        case unexpected:
            reference = secrets.token_hex(8)
            where = ".".join(str(step) for step in error.path or [])
            logger.error("Internal error %s at %s", reference, where, exc_info=unexpected)
            return _coded(error, "Internal error.", "INTERNAL_ERROR", reference=reference)


def _coded(error: GraphQLError, message: str, code: str, **extensions: str) -> GraphQLError:
    return GraphQLError(
        message,
        nodes=error.nodes,
        source=error.source,
        positions=error.positions,
        path=error.path,
        extensions={"code": code, **extensions},
    )


def error_body(message: str, code: str) -> dict[str, Sequence[dict[str, Any]]]:
    """A GraphQL answer for what is refused before there is an operation."""
    return {"errors": [{"message": message, "extensions": {"code": code}}]}
