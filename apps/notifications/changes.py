"""The stream of an inbox's changes, as it is read from the table: the truth that live delivery only hurries along."""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache, reduce
from itertools import batched
from operator import or_
from typing import Any

from channels.db import database_sync_to_async
from django.db import connection
from django.db.models import BigIntegerField, Q

from apps.compiled import Compiled, Given
from apps.errors import Refusal
from apps.models import loaded
from apps.notifications.models import Inbox, Notification
from apps.notifications.writing import Entry
from apps.profiles.models import Profile

PAGE = 100
"""Notifications in one `InboxChange`."""
MAX_NEWS = 20
"""Changes of one inbox that `read_news` reads along with those of all the others."""
ALIKE = 16
"""Of so many that came last it is remembered what they hold."""

_inboxes = Compiled(lambda: Inbox.objects.filter(pk=Given("user_id", BigIntegerField())))


class BadCursor(Refusal):
    """An `after` that this inbox never gave out."""

    code = "BAD_CURSOR"

    def __init__(self) -> None:
        super().__init__("This cursor is not one of this inbox.")


class CursorExpired(Refusal):
    """An `after` from before the oldest change that is kept."""

    code = "CURSOR_EXPIRED"

    def __init__(self) -> None:
        super().__init__("What came after this cursor is no longer kept: begin again without one.")


@dataclass(frozen=True)
class InboxChange:
    """What happened in a user's inbox after one number and up to another."""

    user_id: int
    after: int
    sequence: int
    unread_count: int
    notifications: list[Notification] | None
    """In order of `sequence`, with their actors loaded. None: too many to carry along, read them from the table."""
    has_more: bool = False

    def beginning_at(self, position: int) -> "InboxChange":
        """The same without what happened up to there."""
        if position == self.after:
            return self
        notifications = [one for one in self.notifications or () if one.sequence > position]
        return replace(self, after=position, notifications=notifications)


def read_inbox(user_id: int) -> Inbox:
    """As it stands; of a user who has none yet, an empty one."""
    found = _inboxes(user_id=user_id)
    return found[0] if found else Inbox(pk=user_id)


async def aread_inbox(user_id: int) -> Inbox:
    found = await _inboxes.alist(user_id=user_id)
    return found[0] if found else Inbox(pk=user_id)


def read_changes(user_id: int, after: int | None) -> InboxChange:
    """What changed since `after`, at most a page of it; without `after`, where the inbox stands now.

    Raises `BadCursor` and `CursorExpired`.
    """
    # The inbox first: a change that commits between the two statements is past this number, and left for the next read.
    inbox = read_inbox(user_id)
    if after is None:
        return _nothing_new(inbox)
    sequence, unread = inbox.sequence, inbox.unread
    if not 0 <= after <= sequence:
        raise BadCursor
    if after < inbox.floor:
        raise CursorExpired
    changed = Notification.objects.filter(recipient=user_id, sequence__gt=after, sequence__lte=sequence)
    page = list(changed.with_actor().order_by("sequence")[: PAGE + 1])
    if len(page) <= PAGE:
        return InboxChange(user_id, after, sequence, unread, page)
    del page[PAGE:]
    return InboxChange(user_id, after, page[-1].sequence, unread, page, has_more=True)


async def aread_changes(user_id: int, after: int | None) -> InboxChange:
    if after is None:
        return _nothing_new(await aread_inbox(user_id))
    return await database_sync_to_async(read_changes)(user_id, after)


def _nothing_new(inbox: Inbox) -> InboxChange:
    return InboxChange(inbox.pk, inbox.sequence, inbox.sequence, inbox.unread, [])


def read_news(positions: Mapping[int, int]) -> list[InboxChange]:
    """For each user whose inbox is past that number: the change since, or without its notifications where it is large.

    In one statement for all where there is no news, and in hardly more where there is.
    """
    behind = list(_behind(positions))
    near = [inbox for inbox in behind if positions[inbox.pk] >= max(inbox.floor, inbox.sequence - MAX_NEWS)]
    changed: dict[int, list[Notification]] = {inbox.pk: [] for inbox in near}
    for some in batched(near, 100):
        since = (Q(recipient=one.pk, sequence__gt=positions[one.pk], sequence__lte=one.sequence) for one in some)
        for notification in Notification.objects.with_actor().filter(reduce(or_, since)).order_by("sequence"):
            changed[notification.recipient_id].append(notification)
    return [
        InboxChange(inbox.pk, positions[inbox.pk], inbox.sequence, inbox.unread, changed.get(inbox.pk))
        for inbox in behind
    ]


def _behind(positions: Mapping[int, int]) -> Iterable[Inbox]:
    """The inboxes that are past those numbers. The database compares: of those that are not, it sends nothing.

    Nor is there a placeholder for each user, which the driver would look for in the statement at every poll.
    """
    pairs = {"postgresql": "json_each_text", "sqlite": "json_each"}[connection.vendor]
    return Inbox.objects.raw(
        f"SELECT inbox.* FROM {pairs}(%s) AS known"  # noqa: S608 - no input in it
        f" JOIN {Inbox._meta.db_table} AS inbox ON inbox.user_id = CAST(known.key AS bigint)"
        " WHERE inbox.sequence > CAST(known.value AS bigint) ORDER BY inbox.user_id",
        [json.dumps(positions)],
    )


def pack(change: InboxChange) -> dict[str, Any]:
    """The change as the channel layer carries it: complete, so that showing it asks the database nothing."""
    carried = change.notifications
    return {
        "type": "inbox.changed",
        "user_id": change.user_id,
        "after": change.after,
        "sequence": change.sequence,
        "unread_count": change.unread_count,
        "notifications": carried and [(one.pk, one.sequence, _pack_content(one)) for one in carried],
    }


def pack_alike(notification: Notification, entries: Iterable[Entry]) -> Iterator[dict[str, Any]]:
    """As `pack` does it, for inboxes that all got one like that `notification`: what they share is packed once."""
    shared = _pack_content(notification)
    for pk, user_id, sequence, unread in entries:
        yield {
            "type": "inbox.changed",
            "user_id": user_id,
            "after": sequence - 1,
            "sequence": sequence,
            "unread_count": unread,
            "notifications": [(pk, sequence, shared)],
        }


def _pack_content(notification: Notification) -> str:
    """All but whose it is. As text, by which it is known again: of a broadcast it is unpacked once in each process."""
    actor = notification.actor
    return json.dumps(
        {
            "kind": notification.kind,
            "data": notification.data,
            "actor": None if actor is None else [actor.pk, actor.display_name, actor.bio, actor.avatar],
            "created_at": notification.created_at.isoformat(),
            "read_at": notification.read_at and notification.read_at.isoformat(),
            "archived_at": notification.archived_at and notification.archived_at.isoformat(),
        }
    )


def unpack(message: dict[str, Any]) -> InboxChange:
    """The change as it was packed. Raises `KeyError`, `TypeError` or `ValueError` for what no `pack` of ours made."""
    packed, user_id = message["notifications"], message["user_id"]
    return InboxChange(
        user_id=user_id,
        after=message["after"],
        sequence=message["sequence"],
        unread_count=message["unread_count"],
        notifications=None if packed is None else [_unpack_notification(user_id, *one) for one in packed],
    )


def _unpack_notification(user_id: int, pk: int, sequence: int, content: str) -> Notification:
    shared, actor = _unpack_content(content)
    columns = {"id": pk, "recipient_id": user_id, "sequence": sequence, **shared}
    notification = loaded(Notification, columns)
    notification._state.fields_cache = {"actor": actor}
    return notification


@lru_cache(maxsize=ALIKE)
def _unpack_content(content: str) -> tuple[dict[str, Any], Profile | None]:
    """The columns, and the actor. Both are for reading: they may be part of many notifications."""
    packed = json.loads(content)
    actor_id = actor = None
    if packed["actor"] is not None:
        actor_id, display_name, bio, avatar = packed["actor"]
        actor = loaded(Profile, {"user_id": actor_id, "display_name": display_name, "bio": bio, "avatar": avatar})
    columns = {
        "kind": packed["kind"],
        "data": packed["data"],
        "actor_id": actor_id,
        "created_at": _time(packed["created_at"]),
        "read_at": _time(packed["read_at"]),
        "archived_at": _time(packed["archived_at"]),
    }
    return columns, actor


def _time(packed: str | None) -> datetime | None:
    return datetime.fromisoformat(packed) if packed else None
