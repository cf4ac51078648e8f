"""allauth's headless API, asked within the process: its documented requests and answers, without HTTP in between.

So the GraphQL API takes the flows of allauth's pages, with the same checks, rate limits, mails and signals, and none of
them is written twice. The API is https://docs.allauth.org/en/latest/headless/openapi-specification/; it is not served.

What has to be taken from inside of allauth is taken here, and nowhere else.
"""

import json
from copy import copy
from dataclasses import dataclass
from http import HTTPStatus
from types import SimpleNamespace
from typing import Any

from allauth.account.internal.constants import LoginStageKey
from allauth.account.internal.flows.signup import prevent_enumeration
from allauth.account.internal.stagekit import get_pending_stage
from allauth.core import context
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.core.internal.httpkit import is_headless_request
from allauth.headless.account import inputs
from allauth.headless.internal.restkit.response import ErrorResponse
from allauth.mfa.internal.constants import LoginStageKey as MfaStageKey
from django.contrib.auth import get_user
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.http import HttpRequest, HttpResponseBase, HttpResponseRedirect, JsonResponse
from django.urls import resolve
from django.utils.functional import SimpleLazyObject
from django.utils.translation import gettext as _

from apps.errors import RateLimited

CODES = {
    "email_password_mismatch": "invalid_credentials",
    "incorrect_password": "invalid_credentials",
    "enter_current_password": "invalid_credentials",
    "invalid_or_expired_key": "invalid_key",
    "invalid_password_reset": "invalid_key",
}
"""allauth's codes that say the same, and ours for it. The others are passed on as they are."""
TOO_MANY = {"too_many_login_attempts", "rate_limited"}

# White space at the ends of a password belongs to it, on allauth's pages as here. Its API would drop it.
for with_password in (inputs.SignupInput, inputs.LoginInput, inputs.ResetPasswordInput, inputs.ChangePasswordInput):
    for field, value in with_password.base_fields.items():
        if "password" in field:
            value.strip = False

VERIFY_EMAIL: str = LoginStageKey.VERIFY_EMAIL.value
MFA_CODE: str = MfaStageKey.MFA_AUTHENTICATE.value


@dataclass(frozen=True)
class Answer:
    status: int
    data: Any
    meta: dict[str, Any]


def ask(request: HttpRequest, method: str, path: str, **body: Any) -> Answer:
    """What allauth answers; what it does to the session is done to the request's.

    Raises `ValidationError` for input that it refuses, with its fields and codes, and `RateLimited`.
    """
    view = resolve(f"/browser/v1/{path}", urlconf="allauth.headless.urls").func
    inner = copy(request)
    inner.method = method
    inner._body = json.dumps(body).encode()  # as if it had been read already
    inner.allauth = SimpleNamespace()  # type: ignore[attr-defined]  # what allauth's middleware adds
    with context.request_context(inner):
        try:
            response = view(inner)
        except ImmediateHttpResponse as immediate:
            response = immediate.response
    take_session(request, inner.session)
    return _read(response)


def refuse(request: HttpRequest, refusal: ValidationError) -> HttpResponseBase:
    """What answers a request that came too late: the API that refusal, a browser the page once more."""
    if is_headless_request(request):
        return ErrorResponse(request, exception=refusal)
    return HttpResponseRedirect(request.path)


def take_session(request: HttpRequest, session: Any) -> None:
    """Goes on with that session, in whatever state it is now, and as whoever is signed in there."""
    request.session = session
    for cached in ("_cached_user", "_acached_user"):
        request.__dict__.pop(cached, None)
    request.user = SimpleLazyObject(lambda: get_user(request))  # type: ignore[assignment]


def pending_step(request: HttpRequest) -> str | None:
    """What a sign-in that has begun still asks for: `VERIFY_EMAIL`, `MFA_CODE` or another of allauth's."""
    stage = get_pending_stage(request)
    if stage is None or (stage.key == MFA_CODE and stage.login.user is None):  # whose account was deleted meanwhile
        return None
    return str(stage.key)


def is_asked_here() -> bool:
    """Whether what is going on in allauth began with `ask`, and not on a page."""
    return bool(is_headless_request(context.request))


def pretend_sign_up(request: HttpRequest, email: str) -> HttpResponseBase:
    """The answer to a sign-up with that address, without one."""
    return prevent_enumeration(request, email=email)


def _read(response: HttpResponseBase) -> Answer:
    content = json.loads(response.content) if isinstance(response, JsonResponse) else {}
    errors = content.get("errors", [])
    if response.status_code == HTTPStatus.TOO_MANY_REQUESTS or any(error["code"] in TOO_MANY for error in errors):
        raise RateLimited(_("Too many tries. Wait a little, then try again."))
    if errors:
        raise ValidationError(_by_field(errors))
    return Answer(response.status_code, content.get("data"), content.get("meta", {}))


def _by_field(errors: list[dict[str, str]]) -> dict[str, list[ValidationError]]:
    refusals: dict[str, list[ValidationError]] = {}
    for error in errors:
        refusal = ValidationError(error["message"], code=CODES.get(error["code"], error["code"]))
        refusals.setdefault(error.get("param", NON_FIELD_ERRORS), []).append(refusal)
    return refusals
