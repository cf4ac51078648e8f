"""What an inbox does. Every change takes the inbox row's lock, counts it up, and stamps what changed with it."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import batched, islice
from typing import Any

from channels.db import database_sync_to_async
from django.core.exceptions import ValidationError
from django.core.serializers.json import DjangoJSONEncoder
from django.db import transaction
from django.db.models import BigIntegerField, QuerySet, Subquery
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _

from apps.compiled import Compiled, Given
from apps.notifications import delivery
from apps.notifications.changes import BadCursor, InboxChange, aread_inbox, pack, pack_alike, read_inbox
from apps.notifications.kinds import Channel, NotificationKind, all_kinds, get_kind
from apps.notifications.models import Inbox, Notification, NotificationPreference, NotificationQuerySet
from apps.notifications.writing import ensure_inboxes, insert_for, lock_existing
from apps.profiles.services import profile_of
from apps.users.models import User

BATCH = 1_000
"""Recipients in one transaction."""
MAX_IDS = 20 * BATCH
"""Recipients' ids that are read at once: for each such page the database looks at those before it again."""
MAX_UPDATED = 100
"""Notifications that one `InboxUpdate` carries; the rest comes by way of the inbox's changes."""
MAX_PUBLISHED = 20
"""Notifications that one live message carries; past that it carries the number alone, and is read from the table."""


class AudienceTooLarge(ValueError):
    """More than `BATCH` recipients inside a transaction, which would hold all their inboxes until its commit."""


# ------------------------------------------------------------------------------------------------------- writing


def notify(
    recipients: "QuerySet[User] | Iterable[User | int]",
    kind: NotificationKind,
    *,
    actor: User | None = None,
    key: str | None = None,
) -> int:
    """Writes one notification to each recipient's inbox, and returns to how many.

    Inside `atomic` it joins the transaction: committed means kept, rolled back means never seen. It holds the
    recipients' inboxes until then, so at most `BATCH` of them, else `AudienceTooLarge`; and a transaction that notifies
    twice may be chosen as a deadlock's victim, and should be ready to run again. Outside, every `BATCH` recipients are
    committed by themselves: if it breaks off halfway, run it again with the same `key`, and those who have it are
    skipped. A recipient named twice, or unknown, or who switched this kind off, gets one, or none.
    """
    notification = Notification(
        kind=kind.code,
        data=json.loads(json.dumps(kind.payload(), cls=DjangoJSONEncoder)),
        actor=None if actor is None else profile_of(actor),
        key=key,
    )
    user_ids = _ids_in_order(recipients)
    if not transaction.get_connection().in_atomic_block:
        return sum(_notify_batch(batch, kind, notification) for batch in batched(user_ids, BATCH))
    audience = tuple(islice(user_ids, BATCH + 1))
    if len(audience) > BATCH:
        raise AudienceTooLarge(f"Inside a transaction at most {BATCH} recipients; outside there is no limit.")
    return _notify_batch(audience, kind, notification)


def _ids_in_order(recipients: "QuerySet[User] | Iterable[User | int]") -> Iterator[int]:
    """The recipients' ids, each once, in key order: two senders lock in the same order, and never wait in a circle."""
    if not isinstance(recipients, QuerySet):
        yield from sorted({recipient if isinstance(recipient, int) else recipient.pk for recipient in recipients})
        return
    audience = User.objects.filter(pk__in=recipients.values("pk")).order_by("pk").values_list("pk", flat=True)
    last = 0
    while page := list(audience.filter(pk__gt=last)[:MAX_IDS]):
        yield from page
        last = page[-1]


@transaction.atomic
def _notify_batch(user_ids: Sequence[int], kind: NotificationKind, notification: Notification) -> int:
    """Gives each of them one like that `notification`."""
    may_be_off = Channel.IN_APP not in kind.locked
    if notification.key is not None:
        lock_existing(user_ids)  # so that nobody else is just giving that key
    entries = insert_for(user_ids, notification, may_be_off=may_be_off)
    left_out = set(user_ids).difference(entry.user_id for entry in entries)
    if left_out and (made := ensure_inboxes(left_out)):
        entries += insert_for(made, notification, may_be_off=may_be_off)
    if entries:
        transaction.on_commit(lambda: delivery.publish(pack_alike(notification, entries)), robust=True)
    return len(entries)


def lock_inboxes(user_ids: Sequence[int]) -> dict[int, Inbox]:
    """Takes the users' inboxes until the commit, in key order. Makes missing ones; leaves out unknown users."""

    def lock(pks: Sequence[int]) -> dict[int, Inbox]:
        rows = Inbox.objects.filter(pk__in=pks).order_by("pk").select_for_update(no_key=True)
        return {inbox.pk: inbox for inbox in rows}

    inboxes = lock(user_ids)
    if missing := [pk for pk in user_ids if pk not in inboxes]:
        ensure_inboxes(missing)
        inboxes |= lock(missing)
    return inboxes


@dataclass(frozen=True)
class InboxUpdate:
    """What a mutation did. It carries no number: only the changes that are read or delivered move a client's cursor."""

    unread_count: int
    notifications: list[Notification]


def mark_read(user: User, ids: Sequence[int]) -> InboxUpdate:
    return _change(user, Notification.objects.filter(pk__in=ids, read_at=None), read_at=timezone.now())


def mark_unread(user: User, ids: Sequence[int]) -> InboxUpdate:
    return _change(user, Notification.objects.filter(pk__in=ids).exclude(read_at=None), read_at=None)


def archive(user: User, ids: Sequence[int]) -> InboxUpdate:
    return _change(user, Notification.objects.filter(pk__in=ids).current(), archived_at=timezone.now())


@transaction.atomic
def mark_all_read(user: User, up_to: int) -> InboxUpdate:
    """Everything whose latest change the client has seen. `BadCursor` where it can't have seen that much yet."""
    if not 0 <= up_to <= lock_inboxes([user.pk])[user.pk].sequence:
        raise BadCursor
    return _change(user, Notification.objects.unread().filter(sequence__lte=up_to), read_at=timezone.now())


@transaction.atomic
def _change(user: User, changing: NotificationQuerySet, **values: Any) -> InboxUpdate:
    """Sets `values` on those of the user's notifications; each is a change of its own, with a number of its own."""
    inbox = lock_inboxes([user.pk])[user.pk]
    before = inbox.sequence
    inbox.sequence += changing.filter(recipient=user).renumber(before)
    if inbox.sequence == before:
        return InboxUpdate(unread_count=inbox.unread, notifications=[])
    changed = Notification.objects.filter(recipient=user, sequence__gt=before)
    changed.update(**values)
    inbox.unread = Notification.objects.unread().filter(recipient=user).count()
    inbox.save(update_fields=["sequence", "unread"])
    notifications = list(changed.with_actor().order_by("sequence")[:MAX_UPDATED])
    change = InboxChange(
        user_id=user.pk,
        after=before,
        sequence=inbox.sequence,
        unread_count=inbox.unread,
        notifications=notifications if inbox.sequence - before <= MAX_PUBLISHED else None,
    )
    transaction.on_commit(lambda: delivery.publish([pack(change)]), robust=True)
    return InboxUpdate(unread_count=inbox.unread, notifications=notifications)


# ------------------------------------------------------------------------------------------------------- reading


@dataclass(frozen=True)
class NotificationPage:
    sequence: int
    """The inbox's number as it was when the page was read, or before: subscribing from it misses nothing."""
    notifications: list[Notification]
    has_next: bool


def unread_count(user: User) -> int:
    return read_inbox(user.pk).unread


async def aunread_count(user: User) -> int:
    return (await aread_inbox(user.pk)).unread


type Narrow = Callable[[NotificationQuerySet], NotificationQuerySet]


async def alist_notifications(user: User, narrow: Narrow, first: int, before: int | None) -> NotificationPage:
    """The newest `first` of those of the user's notifications that `narrow` leaves, a method of their queryset.

    Or the newest that are older than the one with id `before`.
    """
    values = {"user": user.pk}
    if before is None:
        pages = _newest(narrow, first + 1)
    else:
        pages, values["before"] = _older(narrow, first + 1), before
    page = await pages.alist(**values)
    if page:
        sequence: int = page[0].inbox_sequence  # type: ignore[attr-defined]  # as `_newest_first` adds it
    else:
        sequence = (await aread_inbox(user.pk)).sequence
        page = await pages.alist(**values)
    return NotificationPage(sequence=sequence, notifications=page[:first], has_next=len(page) > first)


def _newest_first(narrow: Narrow) -> NotificationQuerySet:
    """Each with the number of its inbox, `inbox_sequence`, as it was when these were."""
    user = Given("user", BigIntegerField())
    sequence = Inbox.objects.filter(pk=user).values("sequence")
    notifications = Notification.objects.filter(recipient=user).annotate(inbox_sequence=Subquery(sequence))
    return narrow(notifications).with_actor().order_by("-pk")  # which grows under the inbox's lock, unlike a clock


@lru_cache(maxsize=100)
def _newest(narrow: Narrow, count: int) -> Compiled[Notification]:
    return Compiled(lambda: _newest_first(narrow)[:count])


@lru_cache(maxsize=100)
def _older(narrow: Narrow, count: int) -> Compiled[Notification]:
    return Compiled(lambda: _newest_first(narrow).filter(pk__lt=Given("before", BigIntegerField()))[:count])


def get_notification(user: User, notification_id: int) -> Notification | None:
    """None for what does not exist and for somebody else's alike."""
    return Notification.objects.with_actor().filter(recipient=user, pk=notification_id).first()


# --------------------------------------------------------------------------------------------------- preferences


@dataclass(frozen=True)
class Preference:
    kind: str
    label: str | Promise
    channel: Channel
    enabled: bool
    locked: bool


def list_preferences(user: User) -> list[Preference]:
    """For each installed kind and each channel that it has."""
    rows = NotificationPreference.objects.filter(user=user).values_list("kind", "channel", "enabled")
    chosen = {(kind, channel): enabled for kind, channel, enabled in rows}
    return [
        _preference(kind, channel, chosen.get((kind.code, channel), True))
        for kind in all_kinds()
        for channel in kind.channels
    ]


def set_preference(user: User, code: str, channel: Channel, enabled: bool) -> Preference:
    """Raises `ValidationError` for an unknown kind, a channel that it does not have, and one that is locked."""
    kind = get_kind(code)
    if kind is None:
        raise ValidationError(
            {"kind": ValidationError(_("There is no such kind of notification."), code="unknown_kind")}
        )
    if channel not in kind.channels:
        message = _("These notifications do not come this way.")
        raise ValidationError({"channel": ValidationError(message, code="unknown_channel")})
    if channel in kind.locked and not enabled:
        raise ValidationError({"enabled": ValidationError(_("These can't be switched off."), code="locked")})
    NotificationPreference.objects.update_or_create(
        user=user, kind=code, channel=channel.value, defaults={"enabled": enabled}
    )
    return _preference(kind, channel, enabled)


def _preference(kind: type[NotificationKind], channel: Channel, enabled: bool) -> Preference:
    locked = channel in kind.locked
    return Preference(kind.code, kind.label, channel, enabled or locked, locked)


anotify = database_sync_to_async(notify)
amark_read = database_sync_to_async(mark_read)
amark_unread = database_sync_to_async(mark_unread)
amark_all_read = database_sync_to_async(mark_all_read)
aarchive = database_sync_to_async(archive)
aget_notification = database_sync_to_async(get_notification)
alist_preferences = database_sync_to_async(list_preferences)
aset_preference = database_sync_to_async(set_preference)
