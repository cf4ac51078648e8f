"""Who a request comes from: Django's session and allauth's user, as they are, asked for by one statement."""

from typing import Any

from allauth.account import auth_backends
from allauth.core import context
from django.contrib.auth import SESSION_KEY, aget_user
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends import db
from django.contrib.sessions.base_session import AbstractBaseSession
from django.db.models import CharField, DateTimeField, QuerySet
from django.http import HttpRequest
from django.utils import timezone

from apps.accounts.models import Session
from apps.accounts.services import afind_account, email_verified, find_account
from apps.compiled import Compiled, Given
from apps.users.models import User


def _valid() -> QuerySet[Session]:
    sessions = Session.objects.filter(
        session_key=Given("key", CharField()), expire_date__gt=Given("now", DateTimeField())
    )
    return sessions.select_related("user__profile").annotate(email_verified=email_verified("user"))


_sessions = Compiled(_valid)


class SessionStore(db.SessionStore):
    _account: User | None = None

    def take_account(self, user_id: int) -> User | None:
        """That user, if signed in in the session that was just loaded: as `account_of` loads it, and once."""
        account, self._account = self._account, None
        return account if account and account.pk == user_id else None

    @classmethod
    def get_model_class(cls) -> type[Session]:
        return Session

    def create_model_instance(self, data: dict[str, Any]) -> AbstractBaseSession:
        return _with_user(super().create_model_instance(data), data)

    async def acreate_model_instance(self, data: dict[str, Any]) -> AbstractBaseSession:
        return _with_user(await super().acreate_model_instance(data), data)

    def _get_session_from_db(self) -> Session | None:
        return self._found(_sessions(key=self.session_key, now=timezone.now()))

    async def _aget_session_from_db(self) -> Session | None:
        return self._found(await _sessions.alist(key=self.session_key, now=timezone.now()))

    def _found(self, sessions: list[Session]) -> Session | None:
        if not sessions:
            self._session_key = None
            return None
        [session] = sessions
        self._account = session.user
        if self._account:
            self._account.email_verified = session.email_verified  # type: ignore[attr-defined]
        return session


def _with_user(session: AbstractBaseSession, data: dict[str, Any]) -> AbstractBaseSession:
    session.user_id = data.get(SESSION_KEY)  # type: ignore[attr-defined]  # for it is a `Session`
    return session


class AuthenticationBackend(auth_backends.AuthenticationBackend):
    """Gives a user with all that showing the account takes: nearly each request does."""

    def get_user(self, user_id: int) -> User | None:
        return self._if_allowed(_of_request(user_id) or find_account(user_id))

    async def aget_user(self, user_id: int) -> User | None:
        return self._if_allowed(_of_request(user_id) or await afind_account(user_id))

    def _if_allowed(self, user: User | None) -> User | None:
        return user if user and self.user_can_authenticate(user) else None


def _of_request(user_id: int) -> User | None:
    """The user, as it came with the session of the request that is being served."""
    session = getattr(context.request, "session", None)
    return session.take_account(user_id) if isinstance(session, SessionStore) else None


async def aget_signed_in(request: HttpRequest) -> User | AnonymousUser:
    """Django's `aget_user`, where no middleware has the request: it has a session, and perhaps nothing else."""
    with context.request_context(request):
        return await aget_user(request)
