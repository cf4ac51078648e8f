from datetime import timedelta

import pytest
from asgiref.sync import sync_to_async
from django.core.management import call_command
from django.utils import timezone
from pytest_django import Settings

from apps.notifications import retention
from apps.notifications.changes import CursorExpired, read_changes
from apps.notifications.kinds import Announcement
from apps.notifications.models import Inbox, Notification
from apps.notifications.retention import purge
from apps.notifications.services import anotify, archive, mark_read, notify, unread_count
from tests.conftest import SocketFor, User


def write(user: User, title: str, *, days_ago: int = 0, archived_days_ago: int | None = None) -> None:
    notify([user], Announcement(title))
    notification = Notification.objects.latest("pk")
    if archived_days_ago is not None:
        archive(user, [notification.pk])
    now = timezone.now()
    Notification.objects.filter(pk=notification.pk).update(
        created_at=now - timedelta(days=days_ago),
        archived_at=None if archived_days_ago is None else now - timedelta(days=archived_days_ago),
    )


def titles() -> list[str]:
    return [notification.content.title for notification in Notification.objects.order_by("pk")]


def test_it_works(alice: User, capsys: pytest.CaptureFixture[str]) -> None:
    write(alice, "a year and a day", days_ago=366)
    write(alice, "a year less a day", days_ago=364)
    write(alice, "archived 91 days ago", days_ago=100, archived_days_ago=91)
    write(alice, "archived 89 days ago", days_ago=100, archived_days_ago=89)
    call_command("purge_notifications")
    assert capsys.readouterr().out == "Purged 2 notifications.\n"
    assert titles() == ["a year less a day", "archived 89 days ago"]


def test_how_long_archived_ones_are_kept_is_a_setting(alice: User, settings: Settings) -> None:
    settings.NOTIFICATIONS_RETENTION_DAYS = 7
    write(alice, "archived 8 days ago", archived_days_ago=8)
    assert purge() == 1


def test_unread_stays_exact(alice: User) -> None:
    write(alice, "old", days_ago=366)
    write(alice, "new")
    assert purge() == 1
    assert unread_count(alice) == 1


def test_a_cursor_from_before_is_told_so(alice: User) -> None:
    write(alice, "1: old", days_ago=366)
    write(alice, "2: old", days_ago=366)
    write(alice, "3: new")
    purge()
    for after in (0, 1):
        with pytest.raises(CursorExpired):
            read_changes(alice.pk, after)
    known = read_changes(alice.pk, 2)  # knew of all that is gone
    assert [one.content.title for one in known.notifications or []] == ["3: new"]
    assert known.sequence == 4  # the purge has a number of its own


def test_a_change_is_the_newer_the_later_it_was(alice: User) -> None:
    write(alice, "old, and read just now", days_ago=366)
    mark_read(alice, [Notification.objects.get().pk])
    purge()
    with pytest.raises(CursorExpired):
        read_changes(alice.pk, 1)
    assert read_changes(alice.pk, 2).notifications == []


def test_a_later_purge_of_an_older_change_forgets_nothing(alice: User) -> None:
    write(alice, "1: stays for now")
    write(alice, "2 and 3: archived long ago", archived_days_ago=91)
    purge()
    assert Inbox.objects.get().floor == 3
    Notification.objects.update(created_at=timezone.now() - timedelta(days=366))
    purge()
    with pytest.raises(CursorExpired):
        read_changes(alice.pk, 2)  # never saw 3, which is gone


def test_with_nothing_to_purge_nothing_changes(alice: User) -> None:
    write(alice, "new")
    assert purge() == 0
    assert Inbox.objects.values("sequence", "floor").get() == {"sequence": 1, "floor": 0}


def test_it_goes_through_all_inboxes_in_batches(alice: User, bob: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 1)
    for user in (alice, bob):
        write(user, "old", days_ago=366)
        write(user, "new")
    assert purge() == 2
    assert titles() == ["new", "new"]


async def test_a_subscriber_hears_of_it_and_goes_on(socket: SocketFor, alice: User) -> None:
    client = await socket(alice)
    await client.subscribe("subscription { inboxChanged { sequence unreadCount notifications { title } } }")
    await client.next()
    await anotify([alice], Announcement("old"))
    await client.next()
    await Notification.objects.aupdate(created_at=timezone.now() - timedelta(days=366))
    await sync_to_async(call_command)("purge_notifications")
    assert await client.next() == {"inboxChanged": {"sequence": 2, "unreadCount": 0, "notifications": []}}
    await anotify([alice], Announcement("new"))
    assert (await client.next())["inboxChanged"]["notifications"] == [{"title": "new"}]
