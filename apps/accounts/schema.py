import strawberry
import strawberry_django
from django.core.exceptions import ValidationError
from django.http import HttpRequest
from django.utils.translation import gettext as _
from strawberry import relay

from apps.accounts import services, sessions
from apps.accounts.types import (
    AcceptedResult,
    AcceptedType,
    AuthenticationResult,
    AuthenticationType,
    ChangePasswordInput,
    CodeInput,
    EmailAddressResult,
    EmailAddressType,
    EmailInput,
    KeyInput,
    LogInInput,
    MfaResult,
    MfaType,
    PasswordInput,
    RecoveryCodesResult,
    RecoveryCodesType,
    ResetPasswordInput,
    SessionType,
    SignUpInput,
    TotpSetupResult,
    TotpSetupType,
    UserType,
)
from apps.users.types import Info, node_pks


def http_request(info: Info) -> HttpRequest:
    """What a mutation that changes the session needs, and a WebSocket has not: an answer that can set a cookie."""
    request = info.context.http_request
    if request is None:
        raise ValidationError(_("Send this over HTTP: it may change the session's cookie."), code="http_only")
    return request


async def own_request(info: Info) -> HttpRequest:
    """As `http_request`, for those who are signed in. Raises `Unauthenticated`."""
    await info.context.user()
    return http_request(info)


@strawberry.type
class Query:
    @strawberry.field(
        description="The signed-in user; null for a visitor. The only query, with `node`, that a visitor may ask."
    )
    async def me(self, info: Info) -> UserType | None:
        user = await info.context.visitor_or_user()
        if user is None or (info.context.http_request and services.is_account(user)):  # loaded for this very request
            return user  # type: ignore[return-value]  # the type's fields are the model's
        return await services.aaccount_of(user)  # type: ignore[return-value]

    @strawberry.field
    async def email_addresses(self, info: Info) -> list[EmailAddressType]:
        return await services.alist_email_addresses(await info.context.user())

    @strawberry.field
    async def sessions(self, info: Info) -> list[SessionType]:
        return await sessions.alist_sessions(await info.context.user(), info.context.session_key)

    @strawberry.field
    async def mfa(self, info: Info) -> MfaType:
        return MfaType.of(*await services.amfa_of(await info.context.user()))


@strawberry.type
class Mutation:
    @strawberry_django.mutation(handle_django_errors=True)
    async def sign_up(self, info: Info, input: SignUpInput) -> AuthenticationResult:
        authentication = await services.asign_up(
            http_request(info), input.email, input.password, input.display_name or ""
        )
        return AuthenticationType.of(authentication)

    @strawberry_django.mutation(handle_django_errors=True)
    async def log_in(self, info: Info, input: LogInInput) -> AuthenticationResult:
        return AuthenticationType.of(await services.alog_in(http_request(info), input.email, input.password))

    @strawberry_django.mutation(
        handle_django_errors=True, description="The second step of a sign-in: a TOTP or a recovery code."
    )
    async def authenticate_mfa(self, info: Info, input: CodeInput) -> AuthenticationResult:
        return AuthenticationType.of(await services.aauthenticate_mfa(http_request(info), input.code))

    @strawberry_django.mutation(handle_django_errors=True)
    async def log_out(self, info: Info) -> AuthenticationResult:
        return AuthenticationType.of(await services.alog_out(http_request(info)))

    @strawberry_django.mutation(handle_django_errors=True)
    async def verify_email(self, info: Info, input: KeyInput) -> AuthenticationResult:
        return AuthenticationType.of(await services.averify_email(http_request(info), input.key))

    @strawberry_django.mutation(handle_django_errors=True)
    async def request_email_verification(self, info: Info, input: EmailInput) -> AcceptedResult:
        await services.arequest_email_verification(http_request(info), input.email)
        return AcceptedType()

    @strawberry_django.mutation(handle_django_errors=True)
    async def request_password_reset(self, info: Info, input: EmailInput) -> AcceptedResult:
        await services.arequest_password_reset(http_request(info), input.email)
        return AcceptedType()

    @strawberry_django.mutation(handle_django_errors=True)
    async def reset_password(self, info: Info, input: ResetPasswordInput) -> AuthenticationResult:
        return AuthenticationType.of(await services.areset_password(http_request(info), input.key, input.password))

    @strawberry_django.mutation(handle_django_errors=True)
    async def change_password(self, info: Info, input: ChangePasswordInput) -> AuthenticationResult:
        authentication = await services.achange_password(
            await own_request(info), input.current_password, input.new_password
        )
        return AuthenticationType.of(authentication)

    @strawberry_django.mutation(handle_django_errors=True)
    async def add_email_address(self, info: Info, input: EmailInput) -> EmailAddressResult:
        return await services.aadd_email_address(await own_request(info), input.email)

    @strawberry_django.mutation(handle_django_errors=True)
    async def remove_email_address(self, info: Info, input: EmailInput) -> AcceptedResult:
        await services.aremove_email_address(await own_request(info), input.email)
        return AcceptedType()

    @strawberry_django.mutation(handle_django_errors=True)
    async def make_email_address_primary(self, info: Info, input: EmailInput) -> EmailAddressResult:
        return await services.amake_email_address_primary(await own_request(info), input.email)

    @strawberry_django.mutation(
        handle_django_errors=True, description="Ends that session, and every WebSocket that it opened."
    )
    async def end_session(self, info: Info, id: relay.GlobalID) -> AcceptedResult:
        request = await own_request(info)
        for pk in node_pks([id], "Session", limit=1):
            await sessions.aend_session(request, pk)
        return AcceptedType()

    @strawberry_django.mutation(handle_django_errors=True)
    async def end_other_sessions(self, info: Info) -> AcceptedResult:
        await sessions.aend_other_sessions(await own_request(info))
        return AcceptedType()

    @strawberry_django.mutation(handle_django_errors=True)
    async def start_totp(self, info: Info) -> TotpSetupResult:
        secret, uri, picture = await services.astart_totp(await own_request(info))
        return TotpSetupType(secret=secret, uri=uri, qr_code=picture)

    @strawberry_django.mutation(handle_django_errors=True)
    async def confirm_totp(self, info: Info, input: CodeInput) -> RecoveryCodesResult:
        return RecoveryCodesType(codes=await services.aconfirm_totp(await own_request(info), input.code))

    @strawberry_django.mutation(handle_django_errors=True)
    async def disable_totp(self, info: Info, input: PasswordInput) -> MfaResult:
        return MfaType.of(*await services.adisable_totp(await own_request(info), input.password))

    @strawberry_django.mutation(handle_django_errors=True)
    async def delete_account(self, info: Info, input: PasswordInput) -> AcceptedResult:
        await services.adelete_account(await own_request(info), input.password)
        return AcceptedType()
