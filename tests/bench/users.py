"""`python -m tests.bench.users 1000` signs so many users in, here and in the plain set-up. Prints them, as JSON."""

import json
import sys
from typing import Any

import django

django.setup()

from allauth.usersessions.models import UserSession  # noqa: E402
from django.conf import settings  # noqa: E402
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY  # noqa: E402
from django.contrib.sessions.models import Session as PlainSession  # noqa: E402
from django.utils.crypto import get_random_string  # noqa: E402

from apps.accounts.backends import SessionStore  # noqa: E402
from apps.accounts.models import Session  # noqa: E402
from apps.users.models import User  # noqa: E402

OURS, PLAIN = settings.AUTHENTICATION_BACKENDS[0], "django.contrib.auth.backends.ModelBackend"


def session(user: User, backend: str) -> dict[str, Any]:
    """As signing in makes it."""
    hashed = user.get_session_auth_hash()
    data = {SESSION_KEY: str(user.pk), BACKEND_SESSION_KEY: backend, HASH_SESSION_KEY: hashed}
    store = SessionStore()
    expire_date = store.get_expiry_date()
    return {"pk": get_random_string(32), "session_data": store.encode(data), "expire_date": expire_date}


if __name__ == "__main__":
    users = list(User.objects.order_by("pk")[: int(sys.argv[1])])
    ours = Session.objects.bulk_create([Session(user=user, **session(user, OURS)) for user in users])
    plain = PlainSession.objects.bulk_create([PlainSession(**session(user, PLAIN)) for user in users])
    rows = list(zip(users, ours, plain, strict=True))
    UserSession.objects.bulk_create(
        [UserSession(user=user, session_key=own.session_key, ip="127.0.0.1") for user, own, _ in rows]
    )
    keys = [{"pk": user.pk, "email": user.email, "ours": own.pk, "plain": other.pk} for user, own, other in rows]
    json.dump(keys, sys.stdout)
