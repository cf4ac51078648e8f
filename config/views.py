from http import HTTPStatus
from importlib import import_module

from django.apps import apps
from django.contrib.auth.decorators import login_required
from django.core.exceptions import RequestDataTooBig
from django.db import close_old_connections
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.module_loading import module_has_submodule
from django.views.decorators.cache import never_cache

from config.graphql.http import refuse


def home(request: HttpRequest) -> HttpResponse:
    return render(request, "home.html" if request.user.is_authenticated else "landing.html")


@login_required
@never_cache
def export(request: HttpRequest) -> HttpResponse:
    """All that is kept of the user, as a file: what the `export` in each installed app's `export.py` gives."""
    data = {
        config.label: import_module(f"{config.name}.export").export(request.user)
        for config in apps.get_app_configs()
        if config.name.startswith("apps.") and module_has_submodule(config.module, "export")
    }
    name = f"{request.get_host().partition(':')[0]}-{timezone.now():%Y-%m-%d}.json"
    return JsonResponse(
        data,
        json_dumps_params={"indent": 2, "ensure_ascii": False},
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _error_page(request, 404)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    """What Django refuses to read: a forged host, a form of a thousand parts. As JSON where JSON is spoken."""
    if request.path == reverse("graphql"):
        too_large = isinstance(exception, RequestDataTooBig)
        status = HTTPStatus.REQUEST_ENTITY_TOO_LARGE if too_large else HTTPStatus.BAD_REQUEST
        return refuse(request, "This request can't be read.", status)
    return HttpResponse("This request can't be read.", status=400, content_type="text/plain")


def forbidden(request: HttpRequest, exception: Exception) -> HttpResponse:
    return _error_page(request, 403)


def _error_page(request: HttpRequest, status: int) -> HttpResponse:
    """The site's own page, which greets whoever is signed in.

    Under ASGI Django makes it in a thread outside the request's, and the connection that this takes for the session
    would never be given back: a few visits to wrong addresses, and the pool is empty.
    """
    try:
        return render(request, f"{status}.html", status=status)
    finally:
        close_old_connections()
