"""GraphiQL, where one tries the API by hand: a page for development, of our own files only."""

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.middleware.csp import get_nonce
from django.template.loader import render_to_string
from django.utils.csp import CSP
from django.views.decorators.csp import csp_override


# Its menus and dialogs stop the page behind them from scrolling, by a <style> that a script adds: that one has the
# nonce. No other inline style gets in, and no inline script.
@csp_override({**settings.SECURE_CSP, "style-src": [CSP.SELF, CSP.NONCE]})
def graphiql(request: HttpRequest) -> HttpResponse:
    """For a thread: in development the template is read from the disk each time. The caller sets the CSRF cookie."""
    context = {"csrf_cookie_name": settings.CSRF_COOKIE_NAME, "csp_nonce": get_nonce(request)}
    return HttpResponse(render_to_string("graphiql.html", context))
