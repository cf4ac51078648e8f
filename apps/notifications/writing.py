"""The same notification for many inboxes, in one statement however many they are. (SQLite takes two.)

Django would take a parameter for each value of each row, and an object for each row. Here the users are one parameter,
and what all have in common is said once.
"""

import json
from collections.abc import Collection, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from django.db import connection

from apps.notifications.kinds import Channel
from apps.notifications.models import Inbox, Notification, NotificationPreference
from apps.users.models import User

INBOX, NOTIFICATION, PREFERENCE, USER = (
    model._meta.db_table for model in (Inbox, Notification, NotificationPreference, User)
)
LOCK = f"SELECT user_id FROM {INBOX} WHERE user_id {{among}} ORDER BY user_id {{lock}}"  # noqa: S608 - no input in it
# An inbox that somebody made meanwhile is a conflict: it is left as it is, but locked and returned like the others.
MAKE = f"""
INSERT INTO {INBOX} (user_id, sequence, unread, floor)
SELECT id, 0, 0, 0 FROM {USER} AS owner
WHERE id {{among}} AND NOT EXISTS (SELECT 1 FROM {INBOX} WHERE user_id = owner.id)
ORDER BY id
ON CONFLICT (user_id) DO UPDATE SET floor = {INBOX}.floor
RETURNING user_id
"""  # noqa: S608 - no input in it
# Who gets one. Locks their inboxes in key order, and tells each number as it stands once its lock is held.
WILLING = f"""
SELECT user_id, sequence FROM {INBOX} AS candidate
WHERE user_id {{among}} AND NOT EXISTS (
    SELECT 1 FROM {PREFERENCE} AS preference
    WHERE preference.user_id = candidate.user_id
        AND preference.kind = %(may_be_off)s AND preference.channel = '{Channel.IN_APP}' AND NOT preference.enabled
) AND NOT EXISTS (
    SELECT 1 FROM {NOTIFICATION} AS earlier
    WHERE earlier.recipient_id = candidate.user_id AND earlier.key = %(key)s
)
ORDER BY user_id {{lock}}
"""  # noqa: S608 - no input in it
INSERT = f"""
INSERT INTO {NOTIFICATION} (recipient_id, sequence, kind, data, actor_id, key, created_at)
SELECT user_id, sequence + 1, %(kind)s, %(data)s, %(actor)s, %(key)s, %(created_at)s FROM ({WILLING}) AS willing
RETURNING id, recipient_id
"""  # noqa: S608 - no input in it
COUNT_UP = f"UPDATE {INBOX} AS inbox SET sequence = inbox.sequence + 1, unread = inbox.unread + 1"  # noqa: S608
INSERT_AND_COUNT_UP = f"""
WITH inserted AS ({INSERT}) {COUNT_UP} FROM inserted WHERE user_id = recipient_id
RETURNING inserted.id, user_id, inbox.sequence, inbox.unread
"""
COUNT_UP_INSERTED = f"{COUNT_UP} WHERE user_id {{among}} RETURNING user_id, sequence, unread"


class Entry(NamedTuple):
    """A notification in an inbox, and where that stood right after it."""

    id: int
    user_id: int
    sequence: int
    unread: int


def lock_existing(user_ids: Collection[int]) -> None:
    """Takes the users' inboxes until the commit, in key order."""
    _execute(LOCK, user_ids)


def ensure_inboxes(user_ids: Collection[int]) -> list[int]:
    """Gives an inbox to those users who lack one, holds it until the commit, and returns whose they are."""
    return [user_id for (user_id,) in _execute(MAKE, user_ids)]


def insert_for(user_ids: Collection[int], notification: Notification, *, may_be_off: bool) -> list[Entry]:
    """Gives each of these users one like it, but for those who have no inbox, switched its kind off, or had its key.

    Holds their inboxes until the commit. With a key they must be held already: who had it is looked up before.
    """
    values = {
        name: Notification._meta.get_field(name).get_db_prep_save(value, connection)  # type: ignore[union-attr]
        for name, value in (
            ("kind", notification.kind),
            ("data", notification.data),
            ("actor", notification.actor_id),
            ("key", notification.key),
            ("created_at", notification.created_at),
        )
    }
    values["may_be_off"] = notification.kind if may_be_off else None
    if connection.vendor == "postgresql":
        return [Entry._make(row) for row in _execute(INSERT_AND_COUNT_UP, user_ids, values)]
    pks = {user_id: pk for pk, user_id in _execute(INSERT, user_ids, values)}
    return [Entry(pks[row[0]], *row) for row in _execute(COUNT_UP_INSERTED, pks)]


def _execute(
    statement: str, user_ids: Collection[int], values: Mapping[str, Any] = MappingProxyType({})
) -> list[tuple[Any, ...]]:
    users = json.dumps(list(user_ids))
    if connection.vendor == "postgresql":
        users = f"{{{users[1:-1]}}}"  # as text: the driver would ask each number of a list what it is
        sql = statement.format(among="= ANY(%(users)s::bigint[])", lock="FOR NO KEY UPDATE")
    else:  # SQLite, whose one writer has locked everything
        sql = statement.format(among="IN (SELECT value FROM json_each(%(users)s))", lock="")
    with connection.cursor() as cursor:
        cursor.execute(sql, {**values, "users": users})
        return cursor.fetchall()
