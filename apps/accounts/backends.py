"""Who a request comes from: Django's session and allauth's user, as they are, asked for by SQL that is made once."""

from allauth.account import auth_backends
from django.contrib.sessions.backends import db
from django.contrib.sessions.models import Session
from django.db.models import CharField, DateTimeField
from django.utils import timezone

from apps.accounts.services import afind_account, find_account
from apps.compiled import Compiled, Given
from apps.users.models import User

_sessions = Compiled(
    lambda: Session.objects.filter(session_key=Given("key", CharField()), expire_date__gt=Given("now", DateTimeField()))
)


class SessionStore(db.SessionStore):
    def _get_session_from_db(self) -> Session | None:
        return self._found(_sessions(key=self.session_key, now=timezone.now()))

    async def _aget_session_from_db(self) -> Session | None:
        return self._found(await _sessions.alist(key=self.session_key, now=timezone.now()))

    def _found(self, sessions: list[Session]) -> Session | None:
        if not sessions:
            self._session_key = None
            return None
        return sessions[0]


class AuthenticationBackend(auth_backends.AuthenticationBackend):
    """Gives a user with all that showing the account takes: nearly each request does."""

    def get_user(self, user_id: int) -> User | None:
        return self._if_allowed(find_account(user_id))

    async def aget_user(self, user_id: int) -> User | None:
        return self._if_allowed(await afind_account(user_id))

    def _if_allowed(self, user: User | None) -> User | None:
        return user if user and self.user_can_authenticate(user) else None
