"""Getting in and staying in: a thin layer over allauth's own flows, which its pages take as well.

What comes from the API goes through `headless.ask`, and passes the rate limits there: each raises `RateLimited`, and
`ValidationError` for what the person who typed can mend, whatever else its docstring names.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import cast

from allauth.account.models import EmailAddress
from allauth.core import ratelimit
from allauth.mfa.adapter import get_adapter as get_mfa_adapter
from allauth.mfa.models import Authenticator
from channels.db import database_sync_to_async
from django.contrib.auth import logout
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.db.models import BigIntegerField, Exists, OuterRef, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _

from apps.accounts.headless import MFA_CODE, VERIFY_EMAIL, ask, pending_step, take_session
from apps.accounts.sessions import end_sessions_of
from apps.background import in_background
from apps.compiled import Compiled, Given
from apps.errors import RateLimited
from apps.profiles.services import profile_of
from apps.users.models import User


class AuthenticationStep(StrEnum):
    VERIFY_EMAIL = "verify_email"
    MFA_CODE = "mfa_code"


STEPS = {VERIFY_EMAIL: AuthenticationStep.VERIFY_EMAIL, MFA_CODE: AuthenticationStep.MFA_CODE}


@dataclass(frozen=True)
class Authentication:
    """Where the sign-in of a request stands."""

    account: User | None
    """As `account_of` loads it."""
    pending: list[AuthenticationStep]
    """What is still asked for before the caller is signed in."""


def email_verified(user: str) -> Exists:
    """Of the user whose id is in that column, for a queryset."""
    return Exists(EmailAddress.objects.filter(user=OuterRef(user), primary=True, verified=True))


def _owners() -> QuerySet[User]:
    owners = User.objects.select_related("profile").annotate(email_verified=email_verified("pk"))
    return owners.filter(pk=Given("pk", BigIntegerField()))


_accounts = Compiled(_owners)


def account_of(user: User) -> User:
    """The user as its owner sees it, and as it is now: with `profile` loaded, and with `email_verified`.

    Raises `User.DoesNotExist` if it was deleted meanwhile.
    """
    account = find_account(user.pk)
    if account is None:
        raise User.DoesNotExist
    if not hasattr(account, "profile"):
        account.profile = profile_of(account)
    return account


async def aaccount_of(user: User) -> User:
    account = await afind_account(user.pk)
    return account if account and is_account(account) else await database_sync_to_async(account_of)(user)


def find_account(user_id: int) -> User | None:
    """As `account_of`, but that a user may have come into being without a profile."""
    return next(iter(_accounts(pk=user_id)), None)


async def afind_account(user_id: int) -> User | None:
    return next(iter(await _accounts.alist(pk=user_id)), None)


def is_account(user: User) -> bool:
    """Whether the user was loaded as `account_of` does it."""
    return hasattr(user, "email_verified") and hasattr(user, "profile")


def create_verified_addresses(users: Sequence[User]) -> None:
    """Takes the users' addresses for verified. For accounts that are made by hand: no mail is sent."""
    EmailAddress.objects.bulk_create(
        [EmailAddress(user=user, email=user.email, primary=True, verified=True) for user in users]
    )


def _user_of(request: HttpRequest) -> User:
    """Who is signed in, as the caller has made sure of."""
    return cast(User, request.user)


def _authentication(request: HttpRequest) -> Authentication:
    if request.user.is_authenticated:
        return Authentication(account_of(request.user), pending=[])
    step = pending_step(request)
    return Authentication(None, pending=[STEPS[step]] if step in STEPS else [])


# ---------------------------------------------------------------------------------------------- signing up, in and out


def sign_up(request: HttpRequest, email: str, password: str, display_name: str = "") -> Authentication:
    """Makes an account, and mails a key to verify its address. For a known address it only looks so; a mail tells."""
    if request.user.is_authenticated:
        raise ValidationError(_("You are signed in. Sign out first."), code="already_signed_in")
    ask(request, "POST", "auth/signup", email=email, password=password, display_name=display_name)
    return _authentication(request)


def log_in(request: HttpRequest, email: str, password: str) -> Authentication:
    """Signs the request's session in, or says what is still asked for. Who was signed in there before, no longer is.

    The refusals' codes are `invalid_credentials` and `inactive`.
    """
    former = request.session
    if request.user.is_authenticated:
        take_session(request, type(former)())
    try:
        _check_credentials(request, email, password)
        authentication = _authentication(request)
        if not (authentication.account or authentication.pending):
            raise ValidationError(_("This account is inactive."), code="inactive")
    except (ValidationError, RateLimited):
        take_session(request, former)
        raise
    if request.session is not former:
        former.flush()
    return authentication


def _check_credentials(request: HttpRequest, email: str, password: str) -> None:
    try:
        ask(request, "POST", "auth/login", email=email, password=password)
    except ValidationError as refusal:
        # One answer, whatever was wrong: it must not tell whether the account exists.
        message = _("The e-mail address or the password is not correct.")
        raise ValidationError(message, code="invalid_credentials") from refusal


def authenticate_mfa(request: HttpRequest, code: str) -> Authentication:
    """The second step of a sign-in: a TOTP or a recovery code. Without a first one, `no_pending_sign_in`."""
    if pending_step(request) != MFA_CODE:
        raise ValidationError(_("Sign in with your password first."), code="no_pending_sign_in")
    ask(request, "POST", "auth/2fa/authenticate", code=code)
    return _authentication(request)


def log_out(request: HttpRequest) -> Authentication:
    ask(request, "DELETE", "auth/session")
    return _authentication(request)


# ------------------------------------------------------------------------------------------------- addresses, passwords


def verify_email(request: HttpRequest, key: str) -> Authentication:
    """Verifies the address to which the key was mailed; in the session that signed up with it, signs in too.

    The refusals' codes are `invalid_key` and, where somebody else has verified that address meanwhile, `email_taken`.
    """
    for _again in range(2):  # who came too late by a moment asks once more, and is told why
        if ask(request, "POST", "auth/email/verify", key=key).status != HTTPStatus.INTERNAL_SERVER_ERROR:
            return _authentication(request)
    raise _invalid_key()


def _invalid_key() -> ValidationError:
    return ValidationError({"key": ValidationError(_("Invalid or expired key."), code="invalid_key")})


def request_email_verification(request: HttpRequest, email: str) -> None:
    """Mails a new key, if that address waits for one; nothing tells the caller whether it does."""
    email = email.strip().lower()
    try:
        validate_email(email)
    except ValidationError as error:
        raise ValidationError({"email": error}) from error
    if not ratelimit.consume(request, action="request_verification", key=email):
        raise RateLimited(_("Too many tries. Wait a little, then try again."))

    def send() -> None:
        waiting = EmailAddress.objects.filter(email=email, verified=False, user__is_active=True)
        for address in waiting.select_related("user"):
            address.send_confirmation()

    in_background(send)


def request_password_reset(request: HttpRequest, email: str) -> None:
    """Mails a key to set a new password, or that there is no account; nothing tells the caller which."""
    ask(request, "POST", "auth/password/request", email=email)


def reset_password(request: HttpRequest, key: str, password: str) -> Authentication:
    """Sets the password of the account to which the key was mailed, and signs it out everywhere."""
    if key.strip().startswith("-"):  # without the part that says whose it is, allauth fails
        raise _invalid_key()
    ask(request, "POST", "auth/password/reset", key=key, password=password)
    return _authentication(request)


def change_password(request: HttpRequest, current_password: str, new_password: str) -> Authentication:
    """Signs the account out everywhere else."""
    ask(request, "POST", "account/password/change", current_password=current_password, new_password=new_password)
    return _authentication(request)


def list_email_addresses(user: User) -> list[EmailAddress]:
    """The primary one first."""
    return list(EmailAddress.objects.filter(user=user).order_by("-primary", "pk"))


def add_email_address(request: HttpRequest, email: str) -> EmailAddress:
    """Mails a key to verify it, before which it is good for nothing."""
    ask(request, "POST", "account/email", email=email)
    return EmailAddress.objects.get_for_user(request.user, email.strip())


def remove_email_address(request: HttpRequest, email: str) -> None:
    """Any but the primary one: `cannot_remove_primary_email`."""
    ask(request, "DELETE", "account/email", email=email)


def make_email_address_primary(request: HttpRequest, email: str) -> EmailAddress:
    """Once it is verified: else `unverified_primary_email`."""
    ask(request, "PATCH", "account/email", email=email, primary=True)
    return EmailAddress.objects.get_for_user(request.user, email.strip())


# ------------------------------------------------------------------------------------------------------ second factor


def mfa_of(user: User) -> tuple[bool, int]:
    """Whether codes of an authenticator app are asked for, and how many recovery codes are left."""
    authenticators = {one.type: one for one in Authenticator.objects.filter(user=user)}
    recovery_codes = authenticators.get(Authenticator.Type.RECOVERY_CODES)
    left = len(recovery_codes.wrap().get_unused_codes()) if recovery_codes else 0
    return Authenticator.Type.TOTP in authenticators, left


def start_totp(request: HttpRequest) -> tuple[str, str, str]:
    """A new secret, as text, as an otpauth:// URI and as an SVG picture of it. It holds once it is confirmed."""
    answer = ask(request, "GET", "account/authenticators/totp")
    if answer.status != HTTPStatus.NOT_FOUND:
        raise _totp_enabled()
    uri = answer.meta["totp_url"]
    return answer.meta["secret"], uri, get_mfa_adapter().build_totp_svg(uri)


def confirm_totp(request: HttpRequest, code: str) -> list[str]:
    """From now on sign-ins ask for a code. Returns the recovery codes that are left."""
    if mfa_of(_user_of(request))[0]:
        raise _totp_enabled()
    try:
        ask(request, "POST", "account/authenticators/totp", code=code)
    except IntegrityError as error:  # confirmed twice at the same moment
        raise _totp_enabled() from error
    return ask(request, "GET", "account/authenticators/recovery-codes").data["unused_codes"]


def _totp_enabled() -> ValidationError:
    return ValidationError(_("An authenticator app is set up already."), code="totp_enabled")


def disable_totp(request: HttpRequest, password: str) -> tuple[bool, int]:
    """Returns what `mfa_of` does then."""
    _check_password(request, password)
    ask(request, "DELETE", "account/authenticators/totp")
    return mfa_of(_user_of(request))


def _check_password(request: HttpRequest, password: str) -> None:
    if not _user_of(request).has_usable_password():
        message = _("This account has no password yet. Set one by way of “forgot password”.")
        raise ValidationError({"password": ValidationError(message, code="no_password")})
    ask(request, "POST", "auth/reauthenticate", password=password)


# ----------------------------------------------------------------------------------------------------------- the end


def delete_account(request: HttpRequest, password: str) -> None:
    """With all that is its own: sessions, notifications, picture. What it caused at others stays, without a name."""
    _check_password(request, password)
    user = _user_of(request)
    with transaction.atomic():
        end_sessions_of(user)
        user.delete()
    logout(request)


asign_up = database_sync_to_async(sign_up)
alog_in = database_sync_to_async(log_in)
aauthenticate_mfa = database_sync_to_async(authenticate_mfa)
alog_out = database_sync_to_async(log_out)
averify_email = database_sync_to_async(verify_email)
arequest_email_verification = database_sync_to_async(request_email_verification)
arequest_password_reset = database_sync_to_async(request_password_reset)
areset_password = database_sync_to_async(reset_password)
achange_password = database_sync_to_async(change_password)
alist_email_addresses = database_sync_to_async(list_email_addresses)
aadd_email_address = database_sync_to_async(add_email_address)
aremove_email_address = database_sync_to_async(remove_email_address)
amake_email_address_primary = database_sync_to_async(make_email_address_primary)
amfa_of = database_sync_to_async(mfa_of)
astart_totp = database_sync_to_async(start_totp)
aconfirm_totp = database_sync_to_async(confirm_totp)
adisable_totp = database_sync_to_async(disable_totp)
adelete_account = database_sync_to_async(delete_account)
