"""What this site decides where allauth asks."""

from types import SimpleNamespace
from typing import Any
from unicodedata import normalize
from urllib.parse import urlsplit

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.models import EmailAddress, EmailConfirmation
from allauth.core.exceptions import ImmediateHttpResponse
from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from allauth.socialaccount.adapter import DefaultSocialAccountAdapter
from allauth.socialaccount.models import SocialLogin
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.db import IntegrityError, transaction
from django.forms import Form
from django.http import HttpRequest, HttpResponseBase
from django.urls import reverse
from django.utils.translation import gettext as _

from apps.accounts.headless import is_asked_here, pretend_sign_up, refuse
from apps.profiles.models import Profile
from apps.profiles.services import update_profile
from apps.users.models import User

MAX_NAME = Profile._meta.get_field("display_name").max_length


class AccountAdapter(DefaultAccountAdapter):
    def save_user(self, request: HttpRequest, user: User, form: Form, commit: bool = True) -> User:
        """Of two sign-ups with one address at the same moment, the later is answered as it would be a moment later.

        Raises `ImmediateHttpResponse` then, which allauth's middleware answers with.
        """
        try:
            return super().save_user(request, user, form, commit)
        except IntegrityError as error:
            raise ImmediateHttpResponse(pretend_sign_up(request, user.email)) from error

    def clean_email(self, email: str) -> str:
        """allauth's forms take addresses that are longer than what is kept."""
        User._meta.get_field("email").run_validators(email)
        return super().clean_email(email)

    def set_password(self, user: User, password: str) -> None:
        """Of two who set it at the same moment, as with one mailed key, the later is answered as a moment later.

        Raises `ImmediateHttpResponse` then.
        """
        before = user.password
        user.set_password(password)
        if not User.objects.filter(pk=user.pk, password=before).update(password=user.password):
            raise ImmediateHttpResponse(refuse(self.request, self.validation_error("invalid_password_reset")))

    def confirm_email(self, request: HttpRequest, email_address: EmailAddress) -> bool:
        """Of two who verify an address at the same moment, by one key or by two, the later does not."""
        with transaction.atomic():
            same = EmailAddress.objects.select_for_update().filter(email=email_address.email).order_by("pk")
            return not any(one.verified for one in same) and super().confirm_email(request, email_address)

    def send_password_reset_mail(self, user: User, email: str, context: dict[str, Any]) -> None:
        """An address that was added to an account is good for nothing before it is verified: it may be a slip."""
        if EmailAddress.objects.filter(user=user, email=email.lower(), verified=False, primary=False).exists():
            self.send_mail("account/email/unknown_account", email, {"signup_url": reverse("account_signup")})
        else:
            super().send_password_reset_mail(user, email, context)

    def respond_email_verification_sent(self, request: HttpRequest, user: User | None) -> HttpResponseBase:
        if user is None:  # a sign-up with a known address: it takes as long as with a new one, whose password is hashed
            User().set_password("")
        return super().respond_email_verification_sent(request, user)

    def is_reauthentication_required(self, *, app: str, **kwargs: Any) -> bool:
        """On the pages. Over the API, a mutation that lowers an account's safety asks for the password itself."""
        return not is_asked_here() and super().is_reauthentication_required(app=app, **kwargs)

    def get_client_ip(self, request: HttpRequest) -> str:
        """The visitor's address, by which rate limits count. Without the proxies' word for it, the peer's."""
        try:
            return super().get_client_ip(request)
        except (ImproperlyConfigured, PermissionDenied):  # fewer addresses than proxies, or no address at all
            return request.META.get("REMOTE_ADDR") or "0.0.0.0"  # noqa: S104 - nobody's: a server on a Unix socket

    def _get_login_attempts_cache_key(self, request: HttpRequest, **credentials: Any) -> str:
        """Failed sign-ins are counted by address alone.

        allauth counts by the request's host too, whose port is the client's to choose: each would be five more tries.
        """
        return normalize("NFKC", str(credentials.get("email", ""))).casefold()

    def get_email_confirmation_url(self, request: HttpRequest | None, emailconfirmation: EmailConfirmation) -> str:
        """Also where there is no request: some of these mails are made in the background."""
        return settings.SITE_URL + reverse("account_confirm_email", args=[emailconfirmation.key])

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Every link in every mail is on `SITE_URL`.

        allauth builds links from the request, so whoever forges its host (`Host`, `X-Forwarded-Host`, a root path)
        would have us mail a password reset link that leads to him.
        """
        site = urlsplit(settings.SITE_URL)
        links = {name: on_site(url) for name, url in context.items() if name.endswith("_url")}
        current_site = SimpleNamespace(name=site.netloc, domain=site.netloc)
        own = {"email": email, "current_site": current_site, "site_url": settings.SITE_URL}
        self.render_mail(template_prefix, email, context | own | links).send()


class MFAAdapter(DefaultMFAAdapter):
    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        """Passkeys belong to `SITE_URL`, whatever the request calls its host."""
        site = urlsplit(settings.SITE_URL)
        return {"id": site.hostname or "", "name": site.netloc}

    def generate_authenticator_name(self, user: User, type: Authenticator.Type) -> str:
        count = Authenticator.objects.filter(user=user, type=type).count()
        return _("Passkey %(number)d") % {"number": count + 1} if count else _("Passkey")


class SocialAccountAdapter(DefaultSocialAccountAdapter):
    def populate_user(self, request: HttpRequest, sociallogin: SocialLogin, data: dict[str, Any]) -> User:
        user: User = super().populate_user(request, sociallogin, data)
        name = data.get("name") or f"{data.get('first_name') or ''} {data.get('last_name') or ''}"
        user.suggested_name = name.replace("\0", "").strip()[:MAX_NAME]  # type: ignore[attr-defined]  # until it is saved
        return user

    def save_user(self, request: HttpRequest, sociallogin: SocialLogin, form: Form | None = None) -> User:
        user: User = super().save_user(request, sociallogin, form)
        if form is None:  # else it asked for the name
            update_profile(user, display_name=getattr(user, "suggested_name", ""))
        return user


def on_site(url: str) -> str:
    """The same path and query on `SITE_URL`."""
    site = urlsplit(settings.SITE_URL)
    return urlsplit(url)._replace(scheme=site.scheme, netloc=site.netloc).geturl()
