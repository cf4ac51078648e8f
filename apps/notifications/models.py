from functools import cached_property

from django.core.exceptions import EmptyResultSet
from django.db import connection, models
from django.db.models import F, Q, Value, Window
from django.db.models.functions import RowNumber
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from apps.models import Model, QuerySet
from apps.notifications.kinds import Channel, Content, content_of
from apps.profiles.models import Profile
from apps.users.models import User


class Inbox(Model):
    """A user's place in the stream of changes. Whoever changes an inbox holds its row's lock until the commit.

    So the order of locks is the order of commits: numbers become visible in order and without gaps, which neither a
    time stamp nor an auto-increment id would do.
    """

    user = models.OneToOneField(User, on_delete=models.CASCADE, primary_key=True, related_name="inbox")
    sequence = models.BigIntegerField(default=0, help_text=_("Grows by one with every change."))
    unread = models.BigIntegerField(default=0, help_text=_("How many notifications are neither read nor archived."))
    floor = models.BigIntegerField(default=0, help_text=_("Changes up to this number may have been purged."))

    class Meta:
        verbose_name = _("inbox")
        verbose_name_plural = _("inboxes")

    def __str__(self) -> str:
        return f"{self.user_id} @ {self.sequence}"


class NotificationQuerySet(QuerySet["Notification"]):
    def with_actor(self) -> "NotificationQuerySet":
        """All that showing a notification needs."""
        return self.select_related("actor")

    def unread(self) -> "NotificationQuerySet":
        return self.filter(read_at=None, archived_at=None)

    def current(self) -> "NotificationQuerySet":
        return self.filter(archived_at=None)

    def archived(self) -> "NotificationQuerySet":
        return self.exclude(archived_at=None)

    def renumber(self, after: int) -> int:
        """Gives these, in their order, the numbers `after` + 1, + 2 and so on; returns how many they are.

        In one statement, however many: PostgreSQL and SQLite both know `UPDATE … FROM`, which Django has no words for.
        """
        number = Window(RowNumber(), order_by="sequence") + Value(after)
        try:
            numbered, parameters = self.annotate(number=number).values("id", "number").query.sql_with_params()
        except EmptyResultSet:  # Django sees without asking that there are none: `pk__in=[]`, a number past any key
            return 0
        with connection.cursor() as cursor:
            cursor.execute(
                f"UPDATE {self.model._meta.db_table} SET sequence = numbered.number"  # noqa: S608 - no input in it
                f" FROM ({numbered}) AS numbered WHERE {self.model._meta.db_table}.id = numbered.id",
                parameters,
            )
            return cursor.rowcount


class Notification(Model):
    """Something that a user should know. Written by `services.notify` and nothing else."""

    recipient = models.ForeignKey(User, on_delete=models.CASCADE, related_name="notifications", db_index=False)
    sequence = models.BigIntegerField(help_text=_("The inbox's number at this notification's latest change."))
    kind = models.CharField(max_length=100)
    data = models.JSONField(default=dict)
    actor = models.ForeignKey(Profile, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    key = models.CharField(  # noqa: DJ001 - there may be many nulls, but no two equal keys
        max_length=200, null=True, blank=True, help_text=_("Given by the sender: nobody gets the same key twice.")
    )
    created_at = models.DateTimeField(default=timezone.now)
    read_at = models.DateTimeField(null=True, blank=True)
    archived_at = models.DateTimeField(null=True, blank=True)

    objects = NotificationQuerySet.as_manager()  # type: ignore[misc]

    class Meta:
        verbose_name = _("notification")
        verbose_name_plural = _("notifications")
        constraints = [
            models.UniqueConstraint(fields=["recipient", "sequence"], name="notification_sequence"),
            models.UniqueConstraint(fields=["recipient", "key"], condition=~Q(key=None), name="notification_key"),
        ]
        indexes = [
            models.Index("recipient", F("id").desc(), name="notification_newest"),
            models.Index("recipient", "id", condition=Q(read_at=None, archived_at=None), name="notification_unread"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} #{self.pk}"

    @cached_property
    def content(self) -> Content:
        return content_of(self.kind, self.data)


class NotificationPreference(Model):
    """A kind that a user switched off, or on again, on one channel. Without a row it is on."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="notification_preferences")
    kind = models.CharField(max_length=100)
    channel = models.CharField(max_length=20, choices=[(channel.value, channel.name) for channel in Channel])
    enabled = models.BooleanField()

    class Meta:
        verbose_name = _("notification preference")
        verbose_name_plural = _("notification preferences")
        constraints = [models.UniqueConstraint(fields=["user", "kind", "channel"], name="notification_preference")]

    def __str__(self) -> str:
        return f"{self.kind} {self.channel} {'on' if self.enabled else 'off'}"
