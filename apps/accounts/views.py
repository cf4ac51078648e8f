from allauth.account import views as allauth
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _

from apps.accounts.forms import DeleteAccountForm
from apps.accounts.services import delete_account as delete
from apps.errors import RateLimited


@login_required
def delete_account(request: HttpRequest) -> HttpResponse:
    form = DeleteAccountForm(request.POST or None)
    if form.is_valid():
        try:
            delete(request, form.cleaned_data["password"])
        except ValidationError as refusal:
            form.add_error(None, refusal.messages)
        except RateLimited as refusal:
            form.add_error(None, str(refusal))
        else:
            messages.success(request, _("Your account is deleted."))
            return redirect("home")
    return render(request, "accounts/delete_account.html", {"form": form})


class StaySignedIn:
    """A mailed link may be somebody else's: following it signs nobody out, or anybody could do that to anybody."""

    def logout(self) -> None:
        pass


class ConfirmEmailView(StaySignedIn, allauth.ConfirmEmailView):
    pass


class PasswordResetFromKeyView(StaySignedIn, allauth.PasswordResetFromKeyView):
    pass
