"""The HTTP part, for a WSGI server."""

import os

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

application = get_wsgi_application()  # sets Django up; what follows needs it

from config.statements import limit_statements

limit_statements()
