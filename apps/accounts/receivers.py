"""What follows from what happens at allauth: its owner is told, and keys that were mailed before no longer open."""

from typing import Any

from allauth.account import signals as account
from allauth.account.adapter import get_adapter
from allauth.account.models import EmailAddress, EmailConfirmation
from allauth.mfa import signals as mfa
from allauth.mfa.models import Authenticator
from allauth.socialaccount.models import SocialLogin
from django.dispatch import receiver
from django.http import HttpRequest

from apps.accounts.notifications import EmailChanged, MfaChanged, NewSignIn, PasswordChanged, RecoveryCodeUsed, Welcome
from apps.accounts.pictures import take_picture
from apps.accounts.sessions import recognise_device, user_agent_of
from apps.notifications.services import notify
from apps.users.models import User


@receiver(account.user_logged_in)
def tell_of_a_new_device(request: HttpRequest, user: User, **_kwargs: Any) -> None:
    if recognise_device(request, user):
        notify([user], NewSignIn(user_agent_of(request), get_adapter().get_client_ip(request)))


@receiver(account.user_logged_in)
def take_the_provider_s_picture(user: User, sociallogin: SocialLogin | None = None, **_kwargs: Any) -> None:
    if sociallogin:
        take_picture(user, sociallogin.account)


@receiver([account.password_changed, account.password_set, account.password_reset])
def password_is_another(user: User, **_kwargs: Any) -> None:
    forget_mailed_keys(user)
    notify([user], PasswordChanged())


@receiver(account.email_confirmed)
def welcome(email_address: EmailAddress, **_kwargs: Any) -> None:
    EmailConfirmation.objects.filter(email_address=email_address).delete()
    notify([email_address.user_id], Welcome(), key="welcome")


@receiver(account.email_added)
def tell_of_an_address(user: User, email_address: EmailAddress, **_kwargs: Any) -> None:
    notify([user], EmailChanged(email_address.email, "added"))


@receiver(account.email_removed)
def tell_of_an_address_less(user: User, email_address: EmailAddress, **_kwargs: Any) -> None:
    notify([user], EmailChanged(email_address.email, "removed"))


@receiver(account.email_changed)
def tell_of_another_primary_address(user: User, to_email_address: EmailAddress, **_kwargs: Any) -> None:
    forget_mailed_keys(user)
    notify([user], EmailChanged(to_email_address.email, "primary"))


@receiver([mfa.authenticator_added, mfa.authenticator_removed, mfa.authenticator_reset])
def tell_of_another_factor(signal: Any, user: User, authenticator: Authenticator, **_kwargs: Any) -> None:
    is_reset = signal is mfa.authenticator_reset
    if is_reset or authenticator.type != Authenticator.Type.RECOVERY_CODES:  # which come and go with the others
        notify([user], MfaChanged(authenticator.type, enabled=signal is not mfa.authenticator_removed))


@receiver(mfa.authenticator_used)
def tell_of_a_used_recovery_code(user: User, authenticator: Authenticator, **_kwargs: Any) -> None:
    if authenticator.type == Authenticator.Type.RECOVERY_CODES:
        used = Authenticator.objects.get(pk=authenticator.pk)  # the given one is from before
        notify([user], RecoveryCodeUsed(len(used.wrap().get_unused_codes())))


def forget_mailed_keys(user: User) -> None:
    """Keys that verify an address. Those that set a password die by themselves: they are signed with the old one."""
    EmailConfirmation.objects.filter(email_address__user=user).delete()
