from django.db import close_old_connections
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render


def home(request: HttpRequest) -> HttpResponse:
    return render(request, "home.html" if request.user.is_authenticated else "landing.html")


def not_found(request: HttpRequest, exception: Exception) -> HttpResponse:
    """The site's own 404 page, which greets whoever is signed in.

    Under ASGI Django makes it in a thread outside the request's, and the connection that this takes for the session
    would never be given back: a few visits to wrong addresses, and the pool is empty.
    """
    try:
        return render(request, "404.html", status=404)
    finally:
        close_old_connections()
