"""The site's own settings, with what makes a test quick and repeatable."""

import os
import tempfile

# By it, what processes keep in one Redis stays apart. (A worker inherits the environment of who started it.)
os.environ["SECRET_KEY"] = f"tests-only-{os.getpid()}"
os.environ.setdefault("SITE_URL", "http://testserver")
os.environ.setdefault("EMAIL_URL", "consolemail://")

from config.settings import *  # noqa: F403
from config.settings import DATABASES, MAILERS, STORAGES

# A file, as in production: an in-memory SQLite knows neither WAL nor waiting for a lock.
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["TEST"] = {"NAME": f"{tempfile.gettempdir()}/test-{os.getpid()}.sqlite3"}
    DATABASES["default"]["OPTIONS"]["init_command"] += " PRAGMA synchronous=OFF;"  # nobody needs it after a power cut
MAILERS["default"] = {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
SERVESTATIC_USE_FINDERS = True
NOTIFICATIONS_POLL_SECONDS = 3_600  # so that a test of live delivery cannot pass by the poll
BACKGROUND_THREADS = 0  # done when the answer is there
