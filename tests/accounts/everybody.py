"""Every address that allauth installs, and everybody who may come there."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from importlib import import_module
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import allauth.urls
from allauth.account.forms import default_token_generator
from allauth.account.internal.flows.login import record_authentication
from allauth.account.models import EmailAddress, EmailConfirmation
from allauth.account.utils import user_pk_to_url_str
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from allauth.mfa.webauthn.internal.auth import WebAuthn
from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.test import Client
from django.urls import URLResolver, include, path
from django.urls.resolvers import RegexPattern
from django.utils import timezone
from fido2.cose import ES256
from fido2.utils import websafe_encode
from fido2.webauthn import AttestationObject, AttestedCredentialData, AuthenticatorData, CollectedClientData

from apps.accounts.services import create_verified_addresses
from apps.users.models import User
from tests.clients import session_cookies
from tests.conftest import PASSWORD

NONSENSE = ["0", "nonsense", "9" * 40, "nul\0", "ü" * 300]


@dataclass(frozen=True)
class Address:
    template: str
    """With `%(name)s` for each of its arguments."""
    arguments: tuple[str, ...]

    def filled(self, values: dict[str, str]) -> str:
        return self.template % {name: quote(values[name], safe="") for name in self.arguments}

    def of(self, user: User) -> str:
        """With what belongs to the user for its arguments."""
        return self.filled(dict.fromkeys(self.arguments, "1") | self._values(user))

    def nonsense(self) -> list[str]:
        return [self.filled(dict.fromkeys(self.arguments, value)) for value in NONSENSE if self.arguments]

    def _values(self, user: User) -> dict[str, str]:
        match self.arguments:
            case ("uidb36", "key"):
                return {"uidb36": user_pk_to_url_str(user), "key": default_token_generator.make_token(user)}
            case ("key",):
                confirmation = EmailConfirmation.create(EmailAddress.objects.get(user=user))
                EmailConfirmation.objects.filter(pk=confirmation.pk).update(sent=timezone.now())
                return {"key": confirmation.key}
            case ("pk",):
                passkey = Authenticator.objects.filter(user=user, type=Authenticator.Type.WEBAUTHN).first()
                return {"pk": str(passkey.pk if passkey else 1)}
        return {}


def addresses() -> list[Address]:
    """Also those without a name, and those of providers that have no key here."""
    patterns = [*allauth.urls.urlpatterns]
    for name in settings.SOCIAL_APPS.keys() - settings.SOCIALACCOUNT_PROVIDERS.keys():
        patterns += import_module(f"allauth.socialaccount.providers.{name}.urls").urlpatterns
    resolver = URLResolver(RegexPattern(r"^/"), [path("accounts/", include(patterns))])
    assert not resolver.namespace_dict, "these need walking too"
    found = {
        Address(f"/{template}", tuple(arguments))
        for name in resolver.reverse_dict
        for ways, *_ in resolver.reverse_dict.getlist(name)
        for template, arguments in ways
    }
    return sorted(found, key=lambda address: address.template)


# -------------------------------------------------------------------------------------------------------- everybody

type Cookies = dict[str, str]
type Person = Callable[[Iterator[int]], Iterator[tuple[User, Cookies]]]
"""The same kind of person again and again, each in a session of its own; numbers make their addresses."""


def visitor(numbers: Iterator[int]) -> Iterator[tuple[User, Cookies]]:
    user = make_user(next(numbers))
    while True:
        yield user, {}


def visitor_with_a_session(numbers: Iterator[int]) -> Iterator[tuple[User, Cookies]]:
    """Who has followed a mailed link, and done nothing there."""
    user, client = make_user(next(numbers)), Client()
    [reset] = [address for address in addresses() if address.arguments == ("uidb36", "key")]
    assert client.get(reset.of(user)).status_code == 302
    while True:
        yield user, copied(client)


def before_the_address_is_verified(numbers: Iterator[int]) -> Iterator[tuple[User, Cookies]]:
    user = make_user(next(numbers), verified=False)
    client = went_on("/accounts/confirm-email/", "/accounts/login/", login=user.email, password=PASSWORD)
    while True:
        yield user, copied(client)


def before_the_mailed_code(numbers: Iterator[int]) -> Iterator[tuple[User, Cookies]]:
    user = make_user(next(numbers))
    client = went_on("/accounts/login/code/confirm/", "/accounts/login/code/", email=user.email)
    while True:
        yield user, copied(client)


def before_the_second_factor(numbers: Iterator[int]) -> Iterator[tuple[User, Cookies]]:
    user = make_user(next(numbers), mfa=True)
    client = went_on("/accounts/2fa/authenticate/", "/accounts/login/", login=user.email, password=PASSWORD)
    while True:
        yield user, copied(client)


def signed_in(numbers: Iterator[int]) -> Iterator[tuple[User, Cookies]]:
    for number in numbers:
        user = make_user(number)
        yield user, session_cookies(user)


def signed_in_with_mfa(numbers: Iterator[int]) -> Iterator[tuple[User, Cookies]]:
    for number in numbers:
        user = make_user(number, mfa=True)
        yield user, session_cookies(user)


def signed_in_just_now(numbers: Iterator[int]) -> Iterator[tuple[User, Cookies]]:
    for user, cookies in signed_in(numbers):
        yield user, reauthenticated(user, cookies)


def signed_in_with_mfa_just_now(numbers: Iterator[int]) -> Iterator[tuple[User, Cookies]]:
    for user, cookies in signed_in_with_mfa(numbers):
        yield user, reauthenticated(user, cookies)


EVERYBODY: dict[Person, str] = {
    visitor: "/accounts/login/",
    visitor_with_a_session: "/accounts/login/",
    before_the_address_is_verified: "/accounts/confirm-email/",
    before_the_mailed_code: "/accounts/login/code/confirm/",
    before_the_second_factor: "/accounts/2fa/authenticate/",
    signed_in: "/accounts/email/",
    signed_in_just_now: "/accounts/2fa/totp/activate/",
    signed_in_with_mfa: "/accounts/2fa/reauthenticate/",
    signed_in_with_mfa_just_now: "/accounts/2fa/recovery-codes/",
}
"""With a page that opens to them; and to nobody else where it says what is special about them."""


def make_user(number: int, verified: bool = True, mfa: bool = False) -> User:
    user = User.objects.create_user(f"user{number}@example.com", PASSWORD)
    create_verified_addresses([user])
    if not verified:
        EmailAddress.objects.filter(user=user).update(verified=False)
    if mfa:
        TOTP.activate(user, generate_totp_secret())
        RecoveryCodes.activate(user)
        WebAuthn.add(user, "Key <b>", passkey())
    return user


def passkey() -> dict[str, Any]:
    """What a browser hands over when it has made one."""
    x = bytes.fromhex("6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296")
    y = bytes.fromhex("4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5")
    key = ES256({1: 2, 3: ES256.ALGORITHM, -1: 1, -2: x, -3: y})
    flags = AuthenticatorData.FLAG.UP | AuthenticatorData.FLAG.UV | AuthenticatorData.FLAG.AT
    credential = AttestedCredentialData.create(b"\0" * 16, b"credential", key)
    made = AuthenticatorData.create(sha256(b"127.0.0.1").digest(), flags, 0, credential)
    client_data = CollectedClientData.create("webauthn.create", b"challenge", "http://127.0.0.1")
    return {
        "id": websafe_encode(b"credential"),
        "rawId": websafe_encode(b"credential"),
        "type": "public-key",
        "clientExtensionResults": {"credProps": {"rk": True}},
        "response": {
            "clientDataJSON": websafe_encode(client_data),
            "attestationObject": websafe_encode(AttestationObject.create("none", made, {})),
        },
    }


def went_on(to: str, path: str, **form: str) -> Client:
    """Has sent the form to `path`, which leads on to another page."""
    client = Client()
    answer = client.post(path, form)
    assert (answer.status_code, answer.headers.get("Location")) == (302, to), answer.content
    return client


def copied(client: Client) -> Cookies:
    """A session like the client's."""
    copy = type(client.session)()
    copy.update(dict(client.session.items()))
    return saved(copy)


def reauthenticated(user: User, cookies: Cookies) -> Cookies:
    """The session in which the user has just typed the password."""
    store: type[SessionBase] = import_module(settings.SESSION_ENGINE).SessionStore
    session = store(cookies[settings.SESSION_COOKIE_NAME])
    record_authentication(SimpleNamespace(session=session), user, method="password", reauthenticated=True)
    return saved(session)


def saved(session: SessionBase) -> Cookies:
    session.save()
    assert session.session_key
    return {settings.SESSION_COOKIE_NAME: session.session_key}
