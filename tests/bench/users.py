"""`python -m tests.bench.users 1000` signs so many users in, here and in the plain set-up. Prints them, as JSON."""

import json
import sys
from collections.abc import Sequence

import django

django.setup()

from allauth.usersessions.models import UserSession  # noqa: E402
from django.conf import settings  # noqa: E402
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY  # noqa: E402
from django.contrib.sessions.backends.db import SessionStore  # noqa: E402
from django.contrib.sessions.models import Session  # noqa: E402
from django.utils.crypto import get_random_string  # noqa: E402

from apps.users.models import User  # noqa: E402

PLAIN = "django.contrib.auth.backends.ModelBackend"


def sign_in(users: Sequence[User], backend: str) -> list[str]:
    """The keys of their new sessions."""
    store = SessionStore()
    sessions = [
        Session(
            session_key=get_random_string(32),
            session_data=store.encode(
                {
                    SESSION_KEY: str(user.pk),
                    BACKEND_SESSION_KEY: backend,
                    HASH_SESSION_KEY: user.get_session_auth_hash(),
                }
            ),
            expire_date=store.get_expiry_date(),
        )
        for user in users
    ]
    return [session.session_key for session in Session.objects.bulk_create(sessions)]


if __name__ == "__main__":
    users = list(User.objects.order_by("pk")[: int(sys.argv[1])])
    ours, plain = (sign_in(users, backend) for backend in (settings.AUTHENTICATION_BACKENDS[0], PLAIN))
    UserSession.objects.bulk_create(
        [UserSession(user=user, session_key=key, ip="127.0.0.1") for user, key in zip(users, ours, strict=True)]
    )
    rows = zip(users, ours, plain, strict=True)
    json.dump(
        [{"pk": user.pk, "email": user.email, "ours": one, "plain": other} for user, one, other in rows], sys.stdout
    )
