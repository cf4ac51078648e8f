"""Who a request comes from: Django's session and allauth's user, as they are, asked for by SQL that is made once."""

from allauth.account import auth_backends
from django.contrib.sessions.backends import db
from django.contrib.sessions.models import Session
from django.db.models import CharField, DateTimeField
from django.utils import timezone

from apps.accounts.services import find_account
from apps.compiled import Compiled, Given
from apps.users.models import User

_sessions = Compiled(
    lambda: Session.objects.filter(session_key=Given("key", CharField()), expire_date__gt=Given("now", DateTimeField()))
)


class SessionStore(db.SessionStore):
    def _get_session_from_db(self) -> Session | None:
        for session in _sessions(key=self.session_key, now=timezone.now()):
            return session
        self._session_key = None
        return None


class AuthenticationBackend(auth_backends.AuthenticationBackend):
    def get_user(self, user_id: int) -> User | None:
        """With all that showing the account takes: nearly each request does."""
        user = find_account(user_id)
        return user if user and self.user_can_authenticate(user) else None
