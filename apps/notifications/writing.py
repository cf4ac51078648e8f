"""The same notification for many inboxes, in two statements however many they are.

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
# Locks the rows in key order, and counts each up from where it stands once its lock is held.
COUNT_UP = f"""
UPDATE {INBOX} AS inbox SET sequence = inbox.sequence + 1, unread = inbox.unread + 1
FROM (
    SELECT user_id AS willing FROM {INBOX} AS candidate
    WHERE user_id {{among}} AND NOT EXISTS (
        SELECT 1 FROM {PREFERENCE} AS preference
        WHERE preference.user_id = candidate.user_id
            AND preference.kind = %(may_be_off)s AND preference.channel = '{Channel.IN_APP}' AND NOT preference.enabled
    ) AND NOT EXISTS (
        SELECT 1 FROM {NOTIFICATION} AS earlier
        WHERE earlier.recipient_id = candidate.user_id AND earlier.key = %(key)s
    )
    ORDER BY user_id {{lock}}
) AS locked
WHERE user_id = willing
RETURNING user_id, sequence, unread
"""  # noqa: S608 - no input in it
INSERT = f"""
INSERT INTO {NOTIFICATION} (recipient_id, sequence, kind, data, actor_id, key, created_at)
SELECT user_id, sequence, %(kind)s, %(data)s, %(actor)s, %(key)s, %(created_at)s
FROM {INBOX} WHERE user_id {{among}} ORDER BY user_id
RETURNING id, recipient_id
"""  # noqa: S608 - no input in it


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
    kind = notification.kind
    counted = _execute(COUNT_UP, user_ids, {"may_be_off": kind if may_be_off else None, "key": notification.key})
    if not counted:
        return []
    state = {user_id: (sequence, unread) for user_id, sequence, unread in counted}
    values = {
        name: Notification._meta.get_field(name).get_db_prep_save(value, connection)  # type: ignore[union-attr]
        for name, value in (
            ("kind", kind),
            ("data", notification.data),
            ("actor", notification.actor_id),
            ("key", notification.key),
            ("created_at", notification.created_at),
        )
    }
    return [Entry(pk, user_id, *state[user_id]) for pk, user_id in _execute(INSERT, state, values)]


def _execute(
    statement: str, user_ids: Collection[int], values: Mapping[str, Any] = MappingProxyType({})
) -> list[tuple[Any, ...]]:
    users: Any = list(user_ids)
    if connection.vendor == "postgresql":
        sql = statement.format(among="= ANY(%(users)s)", lock="FOR NO KEY UPDATE")
    else:  # SQLite, whose one writer has locked everything
        sql, users = statement.format(among="IN (SELECT value FROM json_each(%(users)s))", lock=""), json.dumps(users)
    with connection.cursor() as cursor:
        cursor.execute(sql, {**values, "users": users})
        return cursor.fetchall()
