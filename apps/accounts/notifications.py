"""What an account's owner is told about its safety. Nobody can switch these off in the app."""

from dataclasses import dataclass

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from apps.accounts.user_agents import software
from apps.notifications.kinds import Channel, Content, NotificationKind

ALWAYS = frozenset({Channel.IN_APP})


@dataclass(frozen=True)
class Welcome(NotificationKind):
    label = gettext_lazy("Welcome")

    def content(self) -> Content:
        body = _("Your address is verified. Choose a name and a picture, so that others know you.")
        return Content(_("Welcome!"), body, reverse("settings"))


@dataclass(frozen=True)
class NewSignIn(NotificationKind):
    label = gettext_lazy("Sign-ins from a new device")
    locked = ALWAYS

    user_agent: str
    ip_address: str

    def content(self) -> Content:
        body = _("%(software)s, from %(ip_address)s. If this was not you, end that session and change your password.")
        known = {"software": software(self.user_agent), "ip_address": self.ip_address}
        return Content(_("Sign-in from a new device"), body % known, reverse("usersessions_list"))


@dataclass(frozen=True)
class PasswordChanged(NotificationKind):
    label = gettext_lazy("Changes of your password")
    locked = ALWAYS

    def content(self) -> Content:
        body = _("All other devices were signed out. If this was not you, reset your password now.")
        return Content(_("Your password was changed"), body, reverse("usersessions_list"))


@dataclass(frozen=True)
class EmailChanged(NotificationKind):
    label = gettext_lazy("Changes of your e-mail addresses")
    locked = ALWAYS

    email: str
    change: str
    """`added`, `primary` or `removed`."""

    def content(self) -> Content:
        title = {
            "added": _("An e-mail address was added"),
            "primary": _("Your primary e-mail address was changed"),
            "removed": _("An e-mail address was removed"),
        }[self.change]
        return Content(title, self.email, reverse("account_email"))


@dataclass(frozen=True)
class MfaChanged(NotificationKind):
    label = gettext_lazy("Changes of two-factor authentication")
    locked = ALWAYS

    method: str
    """`totp`, `webauthn` or `recovery_codes`."""
    enabled: bool

    def content(self) -> Content:
        title = {
            ("totp", True): _("An authenticator app was set up"),
            ("totp", False): _("Your authenticator app was removed"),
            ("webauthn", True): _("A passkey was added"),
            ("webauthn", False): _("A passkey was removed"),
            ("recovery_codes", True): _("New recovery codes were made"),
            ("recovery_codes", False): _("Your recovery codes were removed"),
        }[self.method, self.enabled]
        return Content(title, _("If this was not you, change your password."), reverse("mfa_index"))


@dataclass(frozen=True)
class RecoveryCodeUsed(NotificationKind):
    label = gettext_lazy("Used recovery codes")
    locked = ALWAYS

    left: int

    def content(self) -> Content:
        body = ngettext("%(left)d code is left.", "%(left)d codes are left.", self.left) % {"left": self.left}
        return Content(_("A recovery code was used"), body, reverse("mfa_index"))
