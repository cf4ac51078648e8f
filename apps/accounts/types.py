from datetime import datetime
from typing import Annotated, Any, Self

import strawberry
import strawberry_django
from allauth.account.models import EmailAddress
from allauth.usersessions.models import UserSession
from strawberry import relay
from strawberry_django.fields.types import OperationInfo

from apps.accounts import services, sessions
from apps.profiles.types import ProfileType
from apps.users.models import User
from apps.users.types import Info, Text, node_pk


@strawberry_django.type(
    User,
    name="User",
    description="An account as its owner sees it. Nobody else ever sees a User: others see its Profile.",
)
class UserType(relay.Node):
    pk: relay.NodeID[int]
    email: str
    is_staff: bool
    date_joined: datetime
    profile: ProfileType

    @strawberry.field(description="False until the primary address is verified.")
    def email_verified(self, root: strawberry.Parent[User]) -> bool:
        return root.email_verified  # type: ignore[attr-defined]  # which `account_of` adds

    @classmethod
    async def resolve_node(  # type: ignore[override]
        cls, node_id: str, *, info: Info, required: bool = False
    ) -> User | None:
        user = await info.context.user()
        return await services.aaccount_of(user) if node_id == str(user.pk) else None


strawberry.enum(services.AuthenticationStep, name="AuthenticationStep")


@strawberry.type(name="Authentication", description="Where the caller's sign-in stands after an accounts mutation.")
class AuthenticationType:
    is_authenticated: bool
    user: UserType | None
    pending: list[services.AuthenticationStep] = strawberry.field(
        description="What is still asked for before the caller is signed in."
    )

    @classmethod
    def of(cls, authentication: services.Authentication) -> Self:
        account = authentication.account
        return cls(
            is_authenticated=account is not None,
            user=account,  # type: ignore[arg-type]  # the type's fields are the model's
            pending=authentication.pending,
        )


AuthenticationResult = Annotated[AuthenticationType | OperationInfo, strawberry.union("AuthenticationResult")]


@strawberry_django.type(EmailAddress, name="EmailAddress")
class EmailAddressType:
    email: str
    verified: bool
    primary: bool


@strawberry_django.type(UserSession, name="Session", description="A place where the account is signed in.")
class SessionType(relay.Node):
    pk: relay.NodeID[int]
    user_agent: str
    created_at: datetime
    last_seen_at: datetime

    @strawberry.field
    def ip_address(self, root: strawberry.Parent[UserSession]) -> str:
        return root.ip

    @strawberry.field
    def is_current(self, root: strawberry.Parent[UserSession]) -> bool:
        return root.current  # which `list_sessions` adds

    @classmethod
    async def resolve_node(  # type: ignore[override]
        cls, node_id: str, *, info: Info, required: bool = False
    ) -> UserSession | None:
        pk = node_pk(node_id)
        user = await info.context.user()
        return None if pk is None else await sessions.aget_session(user, info.context.session_key, pk)


@strawberry.type(name="Accepted", description="The answer to a request that must not tell whether the account exists.")
class AcceptedType:
    accepted: bool = True


@strawberry.type(name="TotpSetup")
class TotpSetupType:
    secret: str
    uri: str = strawberry.field(description="otpauth:// URI for an authenticator app.")
    qr_code: str = strawberry.field(description="The same as an SVG picture.")


@strawberry.type(name="RecoveryCodes")
class RecoveryCodesType:
    codes: list[str]


@strawberry.type(name="Mfa")
class MfaType:
    totp_enabled: bool
    recovery_codes_left: int

    @classmethod
    def of(cls, totp_enabled: bool, recovery_codes_left: int) -> Self:
        return cls(totp_enabled=totp_enabled, recovery_codes_left=recovery_codes_left)


AcceptedResult = Annotated[AcceptedType | OperationInfo, strawberry.union("AcceptedResult")]
EmailAddressResult = Annotated[EmailAddressType | OperationInfo, strawberry.union("EmailAddressResult")]
TotpSetupResult = Annotated[TotpSetupType | OperationInfo, strawberry.union("TotpSetupResult")]
RecoveryCodesResult = Annotated[RecoveryCodesType | OperationInfo, strawberry.union("RecoveryCodesResult")]
MfaResult = Annotated[MfaType | OperationInfo, strawberry.union("MfaResult")]


def password() -> Any:
    """The field of an input. Its white space belongs to it."""
    return strawberry.field(directives=[Text(trimmed=False)])


@strawberry.input
class SignUpInput:
    email: str
    password: str = password()
    display_name: str | None = None


@strawberry.input
class LogInInput:
    email: str
    password: str = password()


@strawberry.input
class KeyInput:
    key: str


@strawberry.input
class EmailInput:
    email: str


@strawberry.input
class CodeInput:
    code: str


@strawberry.input
class PasswordInput:
    password: str = password()


@strawberry.input
class ResetPasswordInput:
    key: str
    password: str = password()


@strawberry.input
class ChangePasswordInput:
    current_password: str = password()
    new_password: str = password()
