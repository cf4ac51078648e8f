from datetime import datetime
from typing import Annotated, Self

import strawberry
import strawberry_django
from strawberry import relay
from strawberry_django.fields.types import OperationInfo

from apps.accounts import services
from apps.profiles.types import ProfileType
from apps.users.models import User
from apps.users.types import Info


@strawberry_django.type(
    User,
    name="User",
    description="An account as its owner sees it. Nobody else ever sees a User: others see its Profile.",
)
class UserType(relay.Node):
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


@strawberry.input
class LogInInput:
    email: str
    password: str
