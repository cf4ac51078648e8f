from collections.abc import Iterable
from typing import Any

from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialAccount
from allauth.usersessions.models import UserSession
from django.db.models import Model

from apps.accounts.models import Device
from apps.users.models import User


def export(user: User) -> dict[str, Any]:
    """What is kept of the account itself. No secrets: whoever finds the file could sign in with them."""

    def rows(model: type[Model], *fields: str) -> Iterable[dict[str, Any]]:
        return list(model._default_manager.filter(user=user).order_by("pk").values(*fields))

    return {
        "email": user.email,
        "date_joined": user.date_joined,
        "last_login": user.last_login,
        "email_addresses": rows(EmailAddress, "email", "verified", "primary"),
        "second_factors": rows(Authenticator, "type", "created_at", "last_used_at"),
        "social_accounts": rows(SocialAccount, "provider", "uid", "date_joined", "extra_data"),
        "sessions": rows(UserSession, "ip", "user_agent", "created_at", "last_seen_at"),
        "devices": rows(Device, "ip", "user_agent", "last_sign_in_at"),
    }
