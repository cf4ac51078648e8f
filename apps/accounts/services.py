"""Getting in and staying in: a thin layer over allauth's own flows, which its pages take as well."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NoReturn

from allauth.account.adapter import get_adapter
from allauth.account.forms import LoginForm
from allauth.account.internal.constants import LoginStageKey
from allauth.account.internal.stagekit import get_pending_stage
from allauth.account.models import EmailAddress
from channels.db import database_sync_to_async
from django.core.exceptions import ValidationError
from django.db.models import Exists, OuterRef
from django.http import HttpRequest
from django.utils.translation import gettext as _

from apps.errors import RateLimited
from apps.profiles.services import profile_of
from apps.users.models import User


class AuthenticationStep(StrEnum):
    VERIFY_EMAIL = "verify_email"
    MFA_CODE = "mfa_code"


STEPS = {LoginStageKey.VERIFY_EMAIL.value: AuthenticationStep.VERIFY_EMAIL}


@dataclass(frozen=True)
class Authentication:
    """Where the sign-in of a request stands."""

    account: User | None
    """As `account_of` loads it."""
    pending: list[AuthenticationStep]
    """What is still asked for before the caller is signed in."""


def account_of(user: User) -> User:
    """The user as its owner sees it: with `profile` loaded, and with `email_verified`.

    Raises `User.DoesNotExist` if it was deleted meanwhile.
    """
    verified = EmailAddress.objects.filter(user=OuterRef("pk"), primary=True, verified=True)
    account = User.objects.select_related("profile").annotate(email_verified=Exists(verified)).get(pk=user.pk)
    if not hasattr(account, "profile"):
        account.profile = profile_of(account)
    return account


def create_verified_addresses(users: Sequence[User]) -> None:
    """Takes the users' addresses for verified. For accounts that are made by hand: no mail is sent."""
    EmailAddress.objects.bulk_create(
        [EmailAddress(user=user, email=user.email, primary=True, verified=True) for user in users]
    )


def log_in(request: HttpRequest, email: str, password: str) -> Authentication:
    """Signs the request's session in, or says what is still asked for.

    Raises `ValidationError` (`invalid_credentials`, `inactive`) and `RateLimited`.
    """
    form = LoginForm({"login": email, "password": password}, request=request)
    if not form.is_valid():
        _refuse(form)
    form.login(request)
    if not form.user.is_active:
        raise ValidationError(_("This account is inactive."), code="inactive")
    return _authentication(request)


def _refuse(form: LoginForm) -> NoReturn:
    codes = {error.code for errors in form.errors.as_data().values() for error in errors}
    if "too_many_login_attempts" in codes:
        raise RateLimited(_("Too many failed sign-ins. Try again later."))
    # One answer, whatever was wrong: it must not tell whether the account exists.
    raise ValidationError(_("The e-mail address or the password is not correct."), code="invalid_credentials")


def log_out(request: HttpRequest) -> Authentication:
    get_adapter().logout(request)
    return _authentication(request)


def _authentication(request: HttpRequest) -> Authentication:
    if request.user.is_authenticated:
        return Authentication(account_of(request.user), pending=[])
    stage = get_pending_stage(request)
    return Authentication(None, pending=[STEPS[stage.key]] if stage and stage.key in STEPS else [])


aaccount_of = database_sync_to_async(account_of)
alog_in = database_sync_to_async(log_in)
alog_out = database_sync_to_async(log_out)
