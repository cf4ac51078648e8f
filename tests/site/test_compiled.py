from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import FieldFetchBlocked
from django.db import DataError, connection
from django.db.models import (
    FETCH_PEERS,
    BigIntegerField,
    CharField,
    DateTimeField,
    Exists,
    F,
    IntegerField,
    OuterRef,
    QuerySet,
)
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.compiled import Compiled, Given
from apps.notifications.kinds import Announcement
from apps.notifications.models import Notification
from apps.notifications.services import anotify, notify
from apps.profiles.models import Profile
from apps.users.models import User

PK = BigIntegerField()


def newest(user: Any) -> QuerySet[Notification]:
    return Notification.objects.filter(recipient=user).with_actor().order_by("-pk")[:2]


@pytest.fixture
def notified(alice: User, bob: User) -> User:
    for title in ("one", "two", "three"):
        notify([alice], Announcement(title=title), actor=bob)
    return alice


def test_it_works(notified: User, bob: User) -> None:
    compiled = Compiled(lambda: newest(Given("user", PK)))
    for user in (notified, bob, notified):
        plain, found = list(newest(user)), compiled(user=user.pk)
        assert found == plain
        assert [one.__dict__.keys() for one in found] == [one.__dict__.keys() for one in plain]
        for one, same in zip(found, plain, strict=True):
            assert {name: getattr(one, name) for name in ("data", "created_at", "sequence", "actor")} == {
                name: getattr(same, name) for name in ("data", "created_at", "sequence", "actor")
            }
    assert len(compiled(user=notified.pk)) == 2


async def test_on_an_event_loop(alice: User, bob: User) -> None:
    """The first time in a thread, and from then on without one on PostgreSQL: always the same."""
    for title in ("one", "two", "three"):
        await anotify([alice], Announcement(title=title), actor=bob)
    compiled = Compiled(lambda: newest(Given("user", PK)))
    plain = [one async for one in newest(alice)]
    for _ in range(3):
        found = await compiled.alist(user=alice.pk)
        assert found == plain
        for one, same in zip(found, plain, strict=True):
            assert one.actor == same.actor
            attributes = [{**each.__dict__, "_state": each._state.db} for each in (one, same)]
            assert attributes[0] == attributes[1]
        assert await compiled.alist(user=bob.pk) == []


async def test_on_an_event_loop_the_database_s_errors_are_django_s(alice: User) -> None:
    compiled = Compiled(lambda: User.objects.annotate(n=1 / Given("n", IntegerField())))
    for _ in range(2):
        assert [one.n for one in await compiled.alist(n=1)] == [1]
    if connection.vendor == "postgresql":
        with pytest.raises(DataError):
            await compiled.alist(n=0)
    assert len(await compiled.alist(n=1)) == 1


def test_it_is_built_once_and_asks_once(notified: User) -> None:
    built = []
    compiled = Compiled(lambda: built.append(1) or newest(Given("user", PK)))  # type: ignore[func-returns-value]
    assert not built
    with CaptureQueriesContext(
        connection,
    ) as queries:
        for _ in range(3):
            compiled(user=notified.pk)
    assert len(built) == 1
    assert len(queries) == 3


def test_values_are_prepared_as_their_field_does(notified: User) -> None:
    compiled = Compiled(
        lambda: Notification.objects.filter(
            created_at__gt=Given("since", DateTimeField()), kind=Given("kind", CharField()), pk__lt=Given("before", PK)
        )
    )
    now = timezone.now()
    values = {"kind": "notifications.announcement", "before": 2**63 - 1}
    assert len(compiled(since=now - timedelta(hours=1), **values)) == 3
    assert compiled(since=now + timedelta(hours=1), **values) == []
    assert compiled(since=now - timedelta(hours=1), kind="';--", before=2**63 - 1) == []


def test_annotations_and_missing_relations(alice: User, bob: User) -> None:
    Profile.objects.filter(pk=bob.pk).delete()
    has_profile = Exists(Profile.objects.filter(pk=OuterRef("pk")))
    compiled = Compiled(
        lambda: (
            User.objects.select_related("profile")
            .annotate(has_profile=has_profile, number=F("pk") + 1)
            .filter(pk=Given("pk", PK))
        )
    )
    (with_profile,), (without,) = compiled(pk=alice.pk), compiled(pk=bob.pk)
    assert with_profile.profile == Profile.objects.get(pk=alice.pk)
    assert not hasattr(without, "profile")
    assert [(one.has_profile, one.number) for one in (with_profile, without)] == [
        (True, alice.pk + 1),
        (False, bob.pk + 1),
    ]


def test_relations_that_were_not_loaded_are_not_loaded_on_touch(notified: User) -> None:
    compiled = Compiled(lambda: Notification.objects.filter(recipient=Given("user", PK)))
    with pytest.raises(FieldFetchBlocked):
        _ = compiled(user=notified.pk)[0].actor


def test_each_call_gives_objects_of_its_own(alice: User) -> None:
    compiled = Compiled(lambda: User.objects.filter(pk=Given("pk", PK)))
    (first,), (second,) = compiled(pk=alice.pk), compiled(pk=alice.pk)
    first.email = "changed@example.com"
    assert second.email == compiled(pk=alice.pk)[0].email == alice.email


@pytest.mark.django_db(transaction=True)
def test_threads_share_it(alice: User, bob: User) -> None:
    compiled = Compiled(lambda: User.objects.filter(pk=Given("pk", PK)))

    def ask(pk: int) -> int:
        try:
            return compiled(pk=pk)[0].pk
        finally:
            connection.close()

    asked = [alice.pk, bob.pk] * 20
    with ThreadPoolExecutor(4) as threads:
        assert list(threads.map(ask, asked)) == asked


def test_a_value_that_is_not_given(alice: User) -> None:
    with pytest.raises(KeyError):
        Compiled(lambda: User.objects.filter(pk=Given("pk", PK)))()


@pytest.mark.parametrize(
    "build",
    [
        lambda: Notification.objects.values("id"),
        lambda: Notification.objects.values_list("id", flat=True),
        lambda: User(pk=1).notifications.all(),
        lambda: Notification.objects.all().fetch_mode(FETCH_PEERS),
    ],
)
def test_what_is_not_compiled_says_so(build: Any, transactional_db: None) -> None:
    with pytest.raises(NotImplementedError):
        Compiled(build)()
