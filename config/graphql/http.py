"""GraphQL over HTTP, as its specification says: POST only, JSON or multipart, guarded by CSRF."""

from functools import lru_cache
from http import HTTPStatus
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.middleware.csrf import get_token
from django.urls import reverse
from django.utils.cache import patch_vary_headers
from django.views.csrf import csrf_failure as csrf_failure_page
from strawberry.exceptions import MissingQueryError
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.types.graphql import OperationType

from config.graphql.context import HttpContext
from config.graphql.encoding import write_json
from config.graphql.errors import error_response, failure, response
from config.graphql.graphiql import graphiql
from config.graphql.known import execute_known
from config.graphql.parameters import MAX_BYTES, Malformed, Parameters, read_json
from config.schema import schema

JSON = "application/json"
GRAPHQL_RESPONSE = "application/graphql-response+json"
MEDIA_TYPES = [JSON, GRAPHQL_RESPONSE]


class Refused(Exception):
    """The request is answered with this status and text, and nothing is executed."""

    def __init__(self, status: HTTPStatus, message: str) -> None:
        super().__init__(message)
        self.status = status


async def graphql(request: HttpRequest) -> HttpResponse:
    if settings.DEBUG and request.method == "GET" and request.get_preferred_type([JSON, "text/html"]) == "text/html":
        get_token(request)
        return await sync_to_async(graphiql)(request)  # which reads its template
    if request.method != "POST":
        answer = refuse(request, "GraphQL is served over POST.", HTTPStatus.METHOD_NOT_ALLOWED)
        answer["Allow"] = "GET, POST" if settings.DEBUG else "POST"
        return answer
    media_type = _media_type(request)
    if media_type is None:
        return refuse(request, f"The answer is {' or '.join(MEDIA_TYPES)}.", HTTPStatus.NOT_ACCEPTABLE)
    try:
        parameters = Parameters.of(_read(request))
    except Refused as refused:
        return refuse(request, str(refused), refused.status)
    except Malformed as malformed:
        return refuse(request, str(malformed), HTTPStatus.BAD_REQUEST)
    body = await _execute(request, parameters)
    # With the older media type a client can't tell a proxy's error from the API's, so that one is 200 if it was read.
    is_refused = "data" not in body and media_type == GRAPHQL_RESPONSE
    return _answer(request, body, HTTPStatus.BAD_REQUEST if is_refused else HTTPStatus.OK)


def _media_type(request: HttpRequest) -> str | None:
    """What the client prefers, whatever parameters it names."""
    return _preferred(request.META.get("HTTP_ACCEPT"))


@lru_cache(maxsize=100)
def _preferred(accept: str | None) -> str | None:
    request = HttpRequest()
    if accept is not None:
        request.META["HTTP_ACCEPT"] = accept
    for accepted in request.accepted_types:  # the most wanted first
        for media_type in MEDIA_TYPES:
            main, _, sub = media_type.partition("/")
            if accepted.main_type in {"*", main} and accepted.sub_type in {"*", sub}:
                return media_type
    return None


async def _execute(request: HttpRequest, parameters: Parameters) -> dict[str, Any]:
    context = HttpContext(request)
    result = await execute_known(schema, parameters, context)
    try:
        result = result or await schema.execute(
            parameters.query,
            variable_values=parameters.variables,
            context_value=context,
            operation_name=parameters.operation_name,
            allowed_operation_types={OperationType.QUERY, OperationType.MUTATION},
        )
    except (MissingQueryError, CannotGetOperationTypeError, InvalidOperationTypeError) as error:
        result = failure(error)
    return response(result)


def _read(request: HttpRequest) -> Any:
    """The request as JSON, its files in their places. Raises `Refused` or `Malformed`."""
    charset = (request.content_params or {}).get("charset", "utf-8").lower()
    match request.content_type:
        case "application/json" if charset in {"utf-8", "utf8"}:
            try:
                return read_json(_limited(request.body))
            except RequestDataTooBig as error:
                raise _too_large() from error
        case "multipart/form-data":
            return _read_multipart(request)
    message = f"Send {JSON} in UTF-8, or multipart/form-data for files."
    raise Refused(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, message)


def _read_multipart(request: HttpRequest) -> Any:
    """By the GraphQL multipart request specification."""
    try:
        operations, places = (read_json(_limited(request.POST[part].encode())) for part in ("operations", "map"))
    except (KeyError, UnicodeEncodeError) as error:
        raise Malformed("A multipart request has the parts `operations` and `map`, and then its files.") from error
    if not isinstance(places, dict):
        raise Malformed("`map` must be an object.")
    for name, paths in places.items():
        if name not in request.FILES:
            raise Malformed(f"There is no file {name!r}.")
        if not isinstance(paths, list):
            raise Malformed("`map` must hold lists of paths.")
        for path in paths:
            _put(request.FILES[name], operations, path)
    return operations


def _put(file: object, operations: Any, path: object) -> None:
    """Puts the file where the client left a null for it."""
    try:
        root, *parents, last = path.split(".")  # type: ignore[attr-defined]
        place = operations[root]
        for step in parents:
            place = place[_index(place, step)]
        if root == "variables" and place[_index(place, last)] is None:
            place[_index(place, last)] = file
            return
    except (AttributeError, LookupError, TypeError, ValueError):
        pass
    raise Malformed(f"`operations` has no null at {path!r} for a file.")


def _index(place: Any, step: str) -> Any:
    return int(step) if isinstance(place, list) else step


def _limited(body: bytes) -> bytes:
    if len(body) > MAX_BYTES:
        raise _too_large()
    return body


def _too_large() -> Refused:
    message = f"A request, without its files, has at most {MAX_BYTES:,} bytes."
    return Refused(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, message)


def _answer(request: HttpRequest, body: dict[str, Any], status: HTTPStatus) -> HttpResponse:
    if "CSRF_COOKIE" not in request.META:
        get_token(request)  # which sets the cookie, so that a client can begin with any request
    media_type = _media_type(request) or JSON
    answer = HttpResponse(write_json(body), f"{media_type}; charset=utf-8", status)
    # Always: else it would tell whether the session was looked at, as is done for an account that exists.
    patch_vary_headers(answer, ["Cookie"])
    return answer


def refuse(request: HttpRequest, message: str, status: HTTPStatus, code: str = "BAD_USER_INPUT") -> HttpResponse:
    """An answer of `/graphql/` that nothing was executed for."""
    return _answer(request, error_response(message, code), status)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponseBase:
    """JSON where JSON is spoken. The answer brings the cookie that the next try needs."""
    if request.path != reverse("graphql"):
        return csrf_failure_page(request, reason=reason)
    message = "The header X-CSRFToken must repeat the CSRF cookie, which this answer sets."
    return refuse(request, message, HTTPStatus.FORBIDDEN, code="FORBIDDEN")
