from typing import Final

from django.contrib.auth.decorators import login_required
from django.core.files.storage import default_storage
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render

from apps.profiles.models import avatar_file

# A picture's address is random and changes with it, so whoever has it may keep it; and it can run nothing.
HEADERS: Final = {
    "Cache-Control": "public, max-age=31536000, immutable",
    "Content-Security-Policy": "sandbox; default-src 'none'",
    "X-Content-Type-Options": "nosniff",
}


def avatar(request: HttpRequest, name: str, size: int) -> HttpResponse:
    """One file of a picture, where the storage is this machine's disk. Small, so read whole."""
    try:
        with default_storage.open(avatar_file(name, size)) as file:
            return HttpResponse(file.read(), content_type="image/webp", headers=HEADERS)
    except FileNotFoundError as error:
        raise Http404 from error


@login_required
def settings(request: HttpRequest) -> HttpResponse:
    return render(request, "profiles/settings.html")
