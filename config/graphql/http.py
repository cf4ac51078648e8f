"""GraphQL over HTTP: POST only, JSON or multipart, guarded by CSRF."""

from typing import Any

from cross_web import HTTPException
from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.middleware.csrf import get_token
from django.urls import reverse
from django.views.csrf import csrf_failure as csrf_failure_page
from strawberry.django.views import AsyncGraphQLView
from strawberry.http.async_base_view import AsyncHTTPRequestAdapter

from apps.errors import Unauthenticated
from apps.users.models import User
from config.graphql.errors import error_body


class HttpContext:
    """`info.context` of an operation that came over HTTP."""

    def __init__(self, request: HttpRequest) -> None:
        self.http_request = request

    @property
    def session_key(self) -> str | None:
        return self.http_request.session.session_key

    async def visitor_or_user(self) -> User | None:
        user = await self.http_request.auser()
        return user if user.is_authenticated else None

    async def user(self) -> User:
        if (user := await self.visitor_or_user()) is None:
            raise Unauthenticated("Sign in first.")
        return user


class GraphQLView(AsyncGraphQLView[HttpContext, None]):
    def parse_json(self, data: str | bytes) -> Any:
        try:
            return super().parse_json(data)
        except (RecursionError, ValueError) as error:  # a hundred thousand brackets, a number of five thousand digits
            raise HTTPException(400, "The body can't be read as JSON.") from error

    async def parse_multipart(self, request: AsyncHTTPRequestAdapter) -> dict[str, str]:
        try:
            return await super().parse_multipart(request)
        except (AttributeError, LookupError, TypeError, ValueError) as error:  # a map that fits no operation
            raise HTTPException(400, "The parts `operations` and `map` do not fit together.") from error

    async def get_context(self, request: HttpRequest, response: Any) -> HttpContext:
        return HttpContext(request)

    async def dispatch(  # type: ignore[override]  # as in every async view
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        get_token(request)  # sets the cookie if there is none yet, so that a client can begin here
        if request.method != "POST":
            refusal = error_body("GraphQL is served over POST.", "BAD_USER_INPUT")
            return JsonResponse(refusal, status=405, headers={"Allow": "POST"})
        try:
            return await self.run(request=request)
        except HTTPException as error:
            return JsonResponse(error_body(error.reason, "BAD_USER_INPUT"), status=error.status_code)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponseBase:
    """JSON where JSON is spoken. The answer brings the cookie that the next try needs."""
    if request.path != reverse("graphql"):
        return csrf_failure_page(request, reason=reason)
    get_token(request)
    message = "The header X-CSRFToken must repeat the CSRF cookie, which this answer sets."
    return JsonResponse(error_body(message, "FORBIDDEN"), status=403)
