"""Nothing is kept for ever. What is purged leaves an honest mark: a cursor from before it is told so."""

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Max, Q
from django.utils import timezone

from apps.notifications import delivery
from apps.notifications.changes import InboxChange, pack
from apps.notifications.models import Notification, NotificationQuerySet
from apps.notifications.services import lock_inboxes

BATCH = 100
"""Inboxes in one transaction, which holds them until its commit."""
UNARCHIVED = timedelta(days=365)


def purge() -> int:
    """Deletes what was archived `NOTIFICATIONS_RETENTION_DAYS` ago, or written a year ago; returns how many.

    Each batch of inboxes is committed by itself, so it may be stopped and run again at any time. A purge is a change of
    the inbox like any other: with a number of its own, and the right unread count. A client whose cursor is older than
    what was purged might have missed it, and gets `CursorExpired`.
    """
    now = timezone.now()
    archived = timedelta(days=settings.NOTIFICATIONS_RETENTION_DAYS)
    old = Notification.objects.filter(Q(archived_at__lt=now - archived) | Q(created_at__lt=now - UNARCHIVED))
    count = last = 0
    while user_ids := _owners(old, after=last):
        count += _purge_inboxes(user_ids, old)
        last = user_ids[-1]
    return count


def _owners(old: NotificationQuerySet, after: int) -> list[int]:
    recipients = old.filter(recipient__gt=after).order_by("recipient_id").values_list("recipient_id", flat=True)
    return list(recipients.distinct()[:BATCH])


@transaction.atomic
def _purge_inboxes(user_ids: list[int], old: NotificationQuerySet) -> int:
    inboxes = lock_inboxes(user_ids)
    purged = old.filter(recipient__in=inboxes)
    latest = dict(purged.values_list("recipient_id").annotate(Max("sequence")))
    count, _by_model = purged.delete()
    changes = []
    for pk, sequence in latest.items():
        inbox = inboxes[pk]
        inbox.floor = max(inbox.floor, sequence)  # an earlier purge may have taken a later change
        inbox.sequence += 1
        inbox.unread = Notification.objects.unread().filter(recipient=pk).count()
        inbox.save(update_fields=["floor", "sequence", "unread"])
        changes.append(InboxChange(pk, inbox.sequence - 1, inbox.sequence, inbox.unread, []))
    transaction.on_commit(lambda: delivery.publish(map(pack, changes)), robust=True)
    return count
