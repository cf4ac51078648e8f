from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.models import Model


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
