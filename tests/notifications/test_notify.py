import socket
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

import pytest
from django.db import close_old_connections, connection, transaction
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoAssertNumQueries, Settings

from apps.notifications import delivery, services
from apps.notifications.kinds import Announcement, Channel, Content, NotificationKind
from apps.notifications.models import Inbox, Notification
from apps.notifications.services import AudienceTooLarge, anotify, mark_read, notify, set_preference, unread_count
from apps.profiles.services import profile_of
from tests.conftest import User

HELLO = Announcement("Hello", "How are you?", "/settings/")


def crowd(size: int) -> list[User]:
    return User.objects.bulk_create(User(email=f"someone{number}@example.com") for number in range(size))


def titles(user: User) -> list[str]:
    return [one.content.title for one in Notification.objects.filter(recipient=user).order_by("sequence")]


def test_it_works(alice: User, bob: User) -> None:
    assert notify([alice], HELLO, actor=bob) == 1
    notification = Notification.objects.get()
    assert notification.recipient_id == alice.pk
    assert notification.actor_id == bob.pk
    assert notification.kind == "notifications.announcement"
    assert notification.data == {"title": "Hello", "body": "How are you?", "url": "/settings/"}
    assert notification.sequence == 1
    assert notification.read_at is notification.archived_at is None
    assert unread_count(alice) == 1
    assert unread_count(bob) == 0


async def test_it_works_from_async_code(alice: User, bob: User) -> None:
    assert await anotify([alice.pk], HELLO, actor=bob) == 1


def test_users_ids_and_querysets_are_recipients(alice: User, bob: User) -> None:
    assert notify([alice, bob], HELLO) == notify([alice.pk, bob.pk], HELLO) == notify(User.objects.all(), HELLO) == 2
    assert notify((user for user in [alice]), HELLO) == 1
    assert notify(User.objects.filter(pk=alice.pk)[:1], HELLO) == 1
    assert notify([], HELLO) == notify(User.objects.none(), HELLO) == 0
    with transaction.atomic():
        assert notify([], HELLO) == notify([], HELLO, key="launch") == 0


def test_a_recipient_named_twice_gets_one(alice: User) -> None:
    assert notify([alice, alice.pk, alice], HELLO) == 1


def test_unknown_recipients_are_left_out(alice: User) -> None:
    assert notify([alice.pk, alice.pk + 1_000], HELLO) == 1


def test_numbers_count_up_without_gaps(alice: User) -> None:
    for title in "abc":
        notify([alice], Announcement(title))
    assert list(Notification.objects.order_by("pk").values_list("sequence", flat=True)) == [1, 2, 3]
    assert Inbox.objects.get(user=alice).sequence == 3


def test_two_senders_at_once_number_in_turn(alice: User, bob: User) -> None:
    def send(number: int) -> int:
        try:
            return notify([alice, bob] if number % 2 else [bob, alice], Announcement(str(number)))
        finally:
            close_old_connections()

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(send, range(40))) == 80
    for user in (alice, bob):
        numbers = Notification.objects.filter(recipient=user).order_by("pk").values_list("sequence", flat=True)
        assert list(numbers) == list(range(1, 41))
        assert unread_count(user) == 40


@pytest.mark.skipif(connection.vendor != "postgresql", reason="SQLite has one lock, for all")
def test_inboxes_are_locked_in_key_order_and_counted_up_from_where_they_stand_then(alice: User, bob: User) -> None:
    zoe = crowd(1)[0]
    notify([alice, bob, zoe], HELLO)

    def send() -> int:
        try:
            with connection.cursor() as cursor:
                cursor.execute("SELECT pg_backend_pid()")
                backend.set_result(cursor.fetchone()[0])
            return notify([zoe, bob, alice], Announcement("waits"))
        finally:
            close_old_connections()

    def is_free(user: User) -> bool:
        return Inbox.objects.filter(pk=user.pk).select_for_update(skip_locked=True, no_key=True).exists()

    backend: Future[int] = Future()
    with ThreadPoolExecutor(1) as pool:
        with transaction.atomic():
            notify([bob], Announcement("first"))
            sent = pool.submit(send)
            with connection.cursor() as cursor:
                while not cursor.execute("SELECT pg_blocking_pids(%s)", [backend.result(10)]).fetchone()[0]:
                    assert not sent.done()
            assert [is_free(user) for user in (alice, zoe)] == [False, True]
        assert sent.result() == 3
    assert [titles(user)[1:] for user in (alice, bob, zoe)] == [["waits"], ["first", "waits"], ["waits"]]
    rows = Notification.objects.filter(recipient=bob).order_by("pk").values_list("sequence", flat=True)
    assert list(rows) == [1, 2, 3]
    assert unread_count(bob) == 3


def test_it_joins_the_transaction(alice: User) -> None:
    with transaction.atomic():
        notify([alice], HELLO)
        transaction.set_rollback(True)
    assert titles(alice) == []
    with transaction.atomic():
        notify([alice], Announcement("a"))
        notify([alice], Announcement("b"))
    assert titles(alice) == ["a", "b"]


def test_a_rolled_back_number_is_given_again(alice: User) -> None:
    with transaction.atomic():
        notify([alice], HELLO)
        transaction.set_rollback(True)
    notify([alice], HELLO)
    assert Notification.objects.get().sequence == 1


def test_a_key_is_given_once(alice: User, bob: User) -> None:
    assert notify([alice], HELLO, key="launch") == 1
    assert notify([alice, bob], HELLO, key="launch") == 1
    assert notify([alice], HELLO, key="another") == 1
    assert notify([alice], HELLO) == notify([alice], HELLO) == 1


def test_a_key_that_several_give_at_once_is_given_once(alice: User, bob: User) -> None:
    def send(number: int) -> int:
        try:
            return notify([alice, bob], HELLO, key=str(number // 4))
        finally:
            close_old_connections()

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(send, range(80))) == 40
    assert Inbox.objects.get(user=alice).sequence == unread_count(alice) == 20


@pytest.mark.parametrize("key", [None, "launch"])
def test_a_missing_inbox_is_made(alice: User, bob: User, key: str | None) -> None:
    Inbox.objects.filter(user=alice).delete()
    assert notify([alice, bob], HELLO, key=key) == 2
    assert unread_count(alice) == unread_count(bob) == 1


def test_a_large_audience_in_a_transaction_is_refused(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "BATCH", 3)
    crowd(3)
    with pytest.raises(AudienceTooLarge), transaction.atomic():
        notify(User.objects.all(), HELLO)
    assert not Notification.objects.exists()
    assert notify(User.objects.all(), HELLO) == 4


def test_a_large_audience_is_committed_in_batches(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "BATCH", 100)
    users = crowd(250)
    assert notify(users, HELLO, key="all") == 250
    assert notify(User.objects.order_by("-email"), HELLO, key="all") == 0


def test_an_audience_is_read_in_pages_of_many_batches(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "BATCH", 10)
    monkeypatch.setattr(services, "MAX_IDS", 40)
    crowd(99)
    with CaptureQueriesContext(connection) as statements:
        assert notify(User.objects.all(), HELLO) == 100
    pages = [statement["sql"] for statement in statements if 'FROM "users_user"' in statement["sql"].partition("IN")[0]]
    assert len(pages) == 4  # the last of them empty
    assert Notification.objects.values("recipient").distinct().count() == 100


def test_statements_do_not_grow_with_the_audience(
    alice: User, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    users = crowd(100)
    statements = 3 if connection.vendor == "postgresql" else 4  # one of them the savepoint's, and one its release
    with transaction.atomic(), django_assert_num_queries(statements):
        notify([alice], HELLO)
    with transaction.atomic(), django_assert_num_queries(statements):
        notify(users, HELLO)


def test_whoever_switched_it_off_gets_none(alice: User, bob: User) -> None:
    set_preference(alice, Announcement.code, Channel.IN_APP, enabled=False)
    assert notify([alice, bob], HELLO) == 1
    set_preference(alice, Announcement.code, Channel.IN_APP, enabled=True)
    assert notify([alice, bob], HELLO) == 2


@dataclass(frozen=True)
class Alarm(NotificationKind):
    label = "Alarms"
    locked = frozenset({Channel.IN_APP})

    def content(self) -> Content:
        return Content("Fire")


def test_what_is_locked_comes_all_the_same(alice: User) -> None:
    alice.notification_preferences.create(kind=Alarm.code, channel=Channel.IN_APP, enabled=False)
    assert notify([alice], Alarm()) == 1


def test_the_actor_may_lack_a_profile(alice: User, bob: User) -> None:
    profile_of(bob).delete()
    assert notify([alice], HELLO, actor=bob) == 1


@pytest.mark.parametrize(
    "url", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)", "settings/", "/a\nb"]
)
def test_an_announcement_leads_nowhere_else(url: str) -> None:
    with pytest.raises(ValueError, match="a path on this site"):
        Announcement("Hello", url=url)


def test_a_channel_layer_that_is_silent_is_waited_for_once(
    alice: User, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "INLINE_SECONDS", 0.1)
    monkeypatch.setattr(delivery, "_inline_again_at", 0.0)
    monkeypatch.setattr(delivery, "_hub", None)  # as in a command
    with socket.create_server(("127.0.0.1", 0)) as silent_redis:
        settings.CHANNEL_LAYERS = {
            "default": {
                "BACKEND": "apps.notifications.layers.RedisPubSubChannelLayer",
                "CONFIG": {"hosts": [f"redis://127.0.0.1:{silent_redis.getsockname()[1]}"]},
            }
        }
        for _ in range(3):
            assert notify([alice], HELLO) == 1
        silent_redis.setblocking(False)
        silent_redis.accept()[0].close()
        with pytest.raises(BlockingIOError):
            silent_redis.accept()


def test_unread_is_exact(alice: User) -> None:
    notify([alice], HELLO)
    notify([alice], HELLO)
    mark_read(alice, [Notification.objects.order_by("pk")[0].pk])
    notify([alice], HELLO)
    assert unread_count(alice) == Notification.objects.unread().filter(recipient=alice).count() == 2
