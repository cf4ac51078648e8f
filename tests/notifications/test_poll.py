"""What the channel layer lost is found for all subscribers of a process at once."""

from pytest_django import DjangoAssertNumQueries

from apps.notifications import changes
from apps.notifications.changes import read_news
from apps.notifications.delivery import serving_hub, silent
from apps.notifications.kinds import Announcement
from apps.notifications.models import Inbox
from apps.notifications.services import anotify, notify
from apps.users.models import User
from tests.clients import Socket
from tests.conftest import SocketFor

INBOX_CHANGED = "subscription ($after: Int) { inboxChanged(after: $after) { sequence notifications { title } } }"


async def titles(client: Socket) -> list[str]:
    return [one["title"] for one in (await client.next())["inboxChanged"]["notifications"]]


async def test_it_works(socket: SocketFor, alice: User, bob: User) -> None:
    clients = [await socket(user) for user in (alice, alice, bob)]
    for client in clients:
        await client.subscribe(INBOX_CHANGED)
        await titles(client)
    with silent():
        await anotify([alice], Announcement("for Alice"))
        await anotify([alice, bob], Announcement("for both"))

    assert await serving_hub().poll() == {alice.pk, bob.pk}

    assert [await titles(client) for client in clients] == [["for Alice", "for both"]] * 2 + [["for both"]]
    assert await serving_hub().poll() == set()


async def test_two_who_know_different_things(socket: SocketFor, alice: User) -> None:
    one, other = await socket(alice), await socket(alice)
    await one.subscribe(INBOX_CHANGED)
    await titles(one)
    with silent():
        await anotify([alice], Announcement("first"))
        await other.subscribe(INBOX_CHANGED, after=0)
        assert await titles(other) == ["first"]
        await anotify([alice], Announcement("second"))
    await serving_hub().poll()
    assert await titles(one) == ["first", "second"]
    assert await titles(other) == ["second"]


def test_as_many_statements_for_many_users_as_for_one(
    transactional_db: None, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    users = User.objects.bulk_create(User(email=f"user{number}@example.com") for number in range(50))
    notify(users, Announcement("Hello"))
    with django_assert_num_queries(2):
        news = read_news({user.pk: 0 for user in users})
    assert [change.user_id for change in news] == [user.pk for user in users]
    assert all(len(change.notifications or []) == 1 for change in news)
    with django_assert_num_queries(1):
        assert read_news({user.pk: 1 for user in users}) == []


def test_much_news_is_read_by_each_for_itself(alice: User, django_assert_num_queries: DjangoAssertNumQueries) -> None:
    for _ in range(changes.MAX_NEWS + 1):
        notify([alice], Announcement("Hello"))
    with django_assert_num_queries(1):
        [change] = read_news({alice.pk: 0})
    assert (change.after, change.sequence, change.notifications) == (0, changes.MAX_NEWS + 1, None)
    [change] = read_news({alice.pk: 1})
    assert len(change.notifications or []) == changes.MAX_NEWS


def test_what_was_purged_is_no_news(alice: User) -> None:
    notify([alice], Announcement("Hello"))
    Inbox.objects.filter(user=alice).update(sequence=2, floor=1)
    [change] = read_news({alice.pk: 0})
    assert change.notifications is None  # whoever reads it for itself is told that its cursor has expired
