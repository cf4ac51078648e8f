from django.urls import include, path, re_path

from apps.accounts.views import ConfirmEmailView, PasswordResetFromKeyView

urlpatterns = [
    # Ours in the place of allauth's, at the addresses that its names lead to.
    re_path(r"^confirm-email/(?P<key>[-:\w]+)/$", ConfirmEmailView.as_view()),
    re_path(r"^password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$", PasswordResetFromKeyView.as_view()),
    path("", include("allauth.urls")),
]
