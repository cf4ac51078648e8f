from django import forms
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from apps.profiles.models import Profile
from apps.profiles.services import update_profile
from apps.users.models import User


class SignupForm(forms.Form):
    """What sign-up asks for beside allauth's own fields, on the page and over the API."""

    display_name = forms.CharField(
        label=_("Display name"),
        required=False,
        max_length=Profile._meta.get_field("display_name").max_length,
        help_text=_("What others see of you."),
        widget=forms.TextInput(attrs={"autocomplete": "name"}),
    )
    field_order = ("display_name", "email", "password1")

    def signup(self, request: HttpRequest, user: User) -> None:
        """Called by allauth once the user is made."""
        update_profile(user, display_name=self.cleaned_data["display_name"])


class DeleteAccountForm(forms.Form):
    password = forms.CharField(
        label=_("Password"),
        strip=False,
        widget=forms.PasswordInput(attrs={"autocomplete": "current-password"}),
    )
