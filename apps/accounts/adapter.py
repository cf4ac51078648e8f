from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.internal.flows.signup import prevent_enumeration
from allauth.core.exceptions import ImmediateHttpResponse
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.db import IntegrityError
from django.forms import Form
from django.http import HttpRequest

from apps.users.models import User


class AccountAdapter(DefaultAccountAdapter):
    def save_user(self, request: HttpRequest, user: User, form: Form, commit: bool = True) -> User:
        """Of two sign-ups with one address at the same moment, the later is answered as it would be a moment later.

        Raises `ImmediateHttpResponse` then, which allauth's middleware answers with.
        """
        try:
            return super().save_user(request, user, form, commit)
        except IntegrityError as error:
            raise ImmediateHttpResponse(prevent_enumeration(request, email=user.email)) from error

    def get_client_ip(self, request: HttpRequest) -> str:
        """The visitor's address, by which rate limits count. Without the proxies' word for it, the peer's."""
        try:
            return super().get_client_ip(request)
        except (ImproperlyConfigured, PermissionDenied):  # fewer addresses than proxies, or no address at all
            return request.META.get("REMOTE_ADDR") or "unknown"

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        """Every link in every mail is on `SITE_URL`.

        allauth builds links from the request, so whoever forges its host (`Host`, `X-Forwarded-Host`, a root path)
        would have us mail a password reset link that leads to him.
        """
        site = urlsplit(settings.SITE_URL)
        links = {name: on_site(url) for name, url in context.items() if name.endswith("_url")}
        current_site = SimpleNamespace(name=site.netloc, domain=site.netloc)
        super().send_mail(template_prefix, email, context | links | {"current_site": current_site})


def on_site(url: str) -> str:
    """The same path and query on `SITE_URL`."""
    site = urlsplit(settings.SITE_URL)
    return urlsplit(url)._replace(scheme=site.scheme, netloc=site.netloc).geturl()
