"""On PostgreSQL inboxes are counted up in place: a broadcast makes no new entries in their index."""

import pytest
from django.db import connection, transaction

from apps.notifications.kinds import Announcement
from apps.notifications.models import Inbox
from apps.notifications.services import notify
from tests.conftest import User

pytestmark = pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite updates in place anyway")
INBOX = Inbox._meta.db_table


def updated_in_place() -> int:
    """By this connection, as far as it has not been added up yet."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_get_xact_tuples_hot_updated(%s::text::regclass)", [INBOX])
        [count] = cursor.fetchone()
    return count


def test_it_works(transactional_db: None) -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"TRUNCATE {INBOX}")
    # Their inboxes are made along with them.
    users = User.objects.bulk_create(User(email=f"someone{number}@example.com") for number in range(500))
    with transaction.atomic():
        before = updated_in_place()
        notify(users, Announcement("Hello"))
        assert updated_in_place() - before == 500
