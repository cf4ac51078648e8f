import strawberry
import strawberry_django
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import gettext as _

from apps.accounts import services
from apps.accounts.types import AuthenticationResult, AuthenticationType, LogInInput, UserType
from apps.users.types import Info


def http_request(info: Info) -> HttpRequest:
    """What a mutation that changes the session needs, and a WebSocket has not: an answer that can set a cookie."""
    request = info.context.http_request
    if request is None:
        raise ValidationError(_("Send this over HTTP: it changes the session's cookie."), code="http_only")
    return request


@strawberry.type
class Query:
    @strawberry.field(
        description="The signed-in user; null for a visitor. The only query, with `node`, that a visitor may ask."
    )
    async def me(self, info: Info) -> UserType | None:
        user = await info.context.visitor_or_user()
        return None if user is None else await services.aaccount_of(user)


@strawberry.type
class Mutation:
    @strawberry_django.mutation(handle_django_errors=True)
    async def log_in(self, info: Info, input: LogInInput) -> AuthenticationResult:
        authentication = await services.alog_in(http_request(info), input.email, input.password)
        return AuthenticationType.of(authentication)

    @strawberry_django.mutation(handle_django_errors=True)
    async def log_out(self, info: Info) -> AuthenticationResult:
        return AuthenticationType.of(await services.alog_out(http_request(info)))
