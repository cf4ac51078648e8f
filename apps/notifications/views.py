from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.functional import SimpleLazyObject

from apps.notifications.services import unread_count
from apps.profiles.services import profile_of
from apps.users.models import User


@login_required
def inbox(request: HttpRequest) -> HttpResponse:
    return render(request, "notifications/inbox.html")


def bell(request: HttpRequest) -> dict[str, Any]:
    """Context processor: what the head of every signed-in page shows. Queried only by templates that show it."""
    user = getattr(request, "user", None)  # a request refused early has none
    if not isinstance(user, User):
        return {}
    return {
        "csrf_cookie_name": settings.CSRF_COOKIE_NAME,
        "profile": SimpleLazyObject(lambda: profile_of(user)),
        "unread_count": SimpleLazyObject(lambda: unread_count(user)),
    }
