from django.conf import settings
from django.contrib.sessions.backends.base import SessionBase
from django.contrib.sessions.base_session import AbstractBaseSession, BaseSessionManager
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.models import Model, QuerySet


class Device(Model):
    """A browser or app in which somebody has signed in before, so that the next one that is new can be told."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="devices")
    token_hash = models.CharField(max_length=64, help_text=_("SHA-256 of the cookie that it keeps."))
    user_agent = models.CharField(max_length=200)
    ip = models.GenericIPAddressField()
    last_sign_in_at = models.DateTimeField(default=timezone.now)

    class Meta:
        verbose_name = _("device")
        verbose_name_plural = _("devices")
        constraints = [models.UniqueConstraint(fields=["user", "token_hash"], name="device_once_a_user")]

    def __str__(self) -> str:
        return self.user_agent


class Session(Model, AbstractBaseSession):
    """Django's, and whoever is signed in there: both are read in one statement."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        null=True,
        related_name="+",
        db_constraint=False,  # a session that is saved while its user is being deleted is saved, and nobody's
    )

    objects = BaseSessionManager.from_queryset(QuerySet)()  # type: ignore[assignment, misc]

    class Meta(AbstractBaseSession.Meta):
        pass

    def __str__(self) -> str:
        return f"session of {self.user_id}"  # and not its key, by which one would be signed in

    @classmethod
    def get_session_store_class(cls) -> type[SessionBase]:
        from apps.accounts.backends import SessionStore

        return SessionStore
