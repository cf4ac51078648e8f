"""Forms for what a browser's script answers for a passkey: a client may send anything, and allauth's trip over it."""

from collections.abc import Callable
from typing import Any

from allauth.mfa.webauthn import forms as allauth
from django import forms
from fido2.webauthn import AuthenticationResponse, RegistrationResponse


class PasskeyField(forms.JSONField):
    """JSON of the shape that `parse` takes."""

    widget = forms.HiddenInput

    def __init__(self, parse: Callable[[Any], object]) -> None:
        super().__init__()
        self.parse = parse

    def to_python(self, value: Any) -> Any:
        try:
            answer = super().to_python(value)
            if answer not in self.empty_values:
                self.parse(answer)
        except (AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
            raise forms.ValidationError(self.error_messages["invalid"], code="invalid") from error
        return answer


class AddWebAuthnForm(allauth.AddWebAuthnForm):
    credential = PasskeyField(RegistrationResponse.from_dict)


class AuthenticateWebAuthnForm(allauth.AuthenticateWebAuthnForm):
    credential = PasskeyField(AuthenticationResponse.from_dict)


class LoginWebAuthnForm(allauth.LoginWebAuthnForm):
    credential = PasskeyField(AuthenticationResponse.from_dict)


class ReauthenticateWebAuthnForm(allauth.ReauthenticateWebAuthnForm):
    credential = PasskeyField(AuthenticationResponse.from_dict)
