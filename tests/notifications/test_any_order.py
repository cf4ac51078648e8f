"""Whatever happens, in any order: Hypothesis makes up stories, and of those that end badly it tells the shortest.

`follow`, the hub, the services and the database are the real ones. Only the channel layer is not: it keeps each wake-up
until the story delivers it, late, in another order, twice or never. And the story, not the clock, says when to poll.
"""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from concurrent.futures import Executor
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count
from selectors import DefaultSelector
from typing import Any, NamedTuple

import pytest
from channels.db import database_sync_to_async
from channels.layers import channel_layers
from django.conf import settings
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from apps.loop_connections import loop_connections
from apps.notifications import changes, services, subscriptions
from apps.notifications.changes import CursorExpired, InboxChange
from apps.notifications.delivery import follow, group_name
from apps.notifications.kinds import Announcement
from apps.notifications.models import Inbox, Notification, NotificationQuerySet
from apps.notifications.retention import purge
from apps.notifications.services import (
    alist_notifications,
    anotify,
    archive,
    mark_all_read,
    mark_read,
    mark_unread,
    notify,
)
from apps.users.models import User


class Layer:
    """A channel layer that promises nothing: each wake-up waits in `held` for what the story makes of it."""

    def __init__(self) -> None:
        self.held: list[tuple[str, str, dict[str, Any]]] = []  # a group, a channel, and what it is sent
        self.groups: dict[str, set[str]] = {}
        self.is_away = False
        self.can_join = asyncio.Event()
        self.can_join.set()
        self._channels: dict[str, asyncio.Queue[dict[str, Any] | None]] = {}

    async def new_channel(self) -> str:
        self._answer()
        channel = f"channel {len(self._channels)}"
        self._channels[channel] = asyncio.Queue()
        return channel

    async def group_add(self, group: str, channel: str) -> None:
        await self.can_join.wait()
        self._answer()
        self.groups.setdefault(group, set()).add(channel)

    async def group_discard(self, group: str, channel: str) -> None:
        self._answer()
        self.groups.get(group, set()).discard(channel)

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        self._answer()
        channels = sorted(self.groups.get(group, ()))
        self.held += [(group, channel, json.loads(json.dumps(message))) for channel in channels]

    async def receive(self, channel: str) -> dict[str, Any]:
        self._answer()
        message = await self._channels[channel].get()
        if message is None:
            raise ConnectionError
        return message

    def _answer(self) -> None:
        if self.is_away:
            raise ConnectionError

    def deliver(self, messages: list[tuple[str, str, dict[str, Any]]]) -> None:
        for _, channel, message in messages:
            self._channels[channel].put_nowait(message)

    def go_away(self) -> None:
        self.is_away = True
        for channel in self._channels.values():
            channel.put_nowait(None)


class Loop(asyncio.SelectorEventLoop):
    """An event loop whose clock can be put forward, and that knows when nothing moves any more."""

    def __init__(self) -> None:
        self._ahead = 0.0
        self._jobs: set[asyncio.Future[Any]] = set()
        self._sockets = DefaultSelector()
        super().__init__(self._sockets)
        self._own_sockets = len(self._sockets.get_map())

    def time(self) -> float:
        return super().time() + self._ahead

    def put_forward(self, seconds: float) -> None:
        self._ahead += seconds

    def run_in_executor[*Ts, T](
        self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts
    ) -> asyncio.Future[T]:
        job = super().run_in_executor(executor, func, *args)
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)
        return job

    async def settle(self) -> None:
        """Until everybody waits, and not for the database."""
        while True:
            for _ in range(20):  # more than there are callbacks between one job and the next
                await asyncio.sleep(0)
            if self._jobs:
                await asyncio.wait(self._jobs)
            else:
                connections = loop_connections("default")
                idle = len(connections.idle) if connections else 0
                if len(self._sockets.get_map()) == self._own_sockets + idle:
                    return


class State(NamedTuple):
    sequence: int
    title: str
    is_read: bool
    is_archived: bool


def states(notifications: Iterable[Notification]) -> dict[int, State]:
    return {
        one.pk: State(one.sequence, one.content.title, one.read_at is not None, one.archived_at is not None)
        for one in notifications
    }


@dataclass
class Client:
    """Keeps a copy of an inbox as a browser would. G3, G4 and G5 hold of every message that it gets."""

    user: User
    cursor: int | None = None
    copy: dict[int, State] = field(default_factory=dict)
    since: int = 0  # the copy is complete from this number on
    unread: int = 0
    position: int | None = None  # on the present subscription, after its first message
    task: asyncio.Task[None] | None = None
    reads: asyncio.Event = field(default_factory=asyncio.Event)

    def begin(self, cursor: int | None, page: Iterable[Notification] = ()) -> None:
        self.copy, self.cursor, self.since = states(page), cursor, cursor or 0

    async def subscribe(self) -> None:
        async with aclosing(follow(self.user.pk, self.cursor)) as told:
            async for change in told:
                self.hear(change)
                await self.reads.wait()

    async def disconnect(self) -> None:
        assert self.task is not None
        self.task.cancel()
        with suppress(asyncio.CancelledError):
            await self.task
        self.task = self.position = None

    def hear(self, change: InboxChange) -> None:
        assert change.user_id == self.user.pk
        assert change.notifications is not None
        if self.position is not None:
            start = self.position
            assert change.sequence > start
        elif self.cursor is not None:
            start = self.cursor
            assert change.sequence >= start
        else:
            start = self.since = change.sequence
        last = start
        for one in change.notifications:
            assert one.recipient_id == self.user.pk
            assert last < one.sequence <= change.sequence
            last = one.sequence
        self.copy |= states(change.notifications)
        self.cursor = self.position = change.sequence
        self.unread = change.unread_count


class RollBack(Exception):
    pass


a_number = st.integers(0, 7)  # of something that there is, counted round and round
a_user = st.integers(0, 1)
some_users = st.lists(a_user, min_size=1, unique=True)
a_fate = st.sampled_from([*["delivered"] * 4, "delivered, but not for the last time", "held", "held", "lost"])
a_way_to_join = st.sampled_from(["at once", "at once", "late", "never"])  # late: something is committed meanwhile
mostly = st.sampled_from([True, True, True, False])
some_notifications = st.lists(a_number, min_size=1, max_size=6, unique=True)  # the latest first, whosever they are


type Act = Callable[[User, list[int]], object]


ACTS: list[Act] = [mark_read, mark_unread, archive]


class Story(RuleBasedStateMachine):
    """Two users, two clients each. After every step nothing is foreign, missing or wrong; at the end all is there."""

    emails = (f"someone{number}@example.com" for number in count())
    titles = (str(number) for number in count())

    def __init__(self) -> None:
        super().__init__()
        self.layer = Layer()
        channel_layers.set("default", self.layer)
        self.loop = Loop()
        self.runner = asyncio.Runner(loop_factory=lambda: self.loop)
        self.users = User.objects.bulk_create(User(email=next(self.emails)) for _ in range(2))
        self.clients = [Client(user) for user in self.users * 2]
        self.deaf: set[int] = set()  # users of whose wake-ups the layer lost one since the last poll
        self.forgotten: set[int] = set()  # users whose groups it forgot, and nobody can have noticed
        self.pks: list[int] = []
        self.purged: dict[int, dict[int, int]] = {user.pk: {} for user in self.users}  # pk → sequence, for each user
        self.went_well = True

    @initialize(joining=a_way_to_join)
    def begin(self, joining: str) -> None:
        self.do(lambda: self.subscribe_all(self.clients, joining))

    # ------------------------------------------------------------------------------------------------- what is written

    @rule(index=a_user, fate=a_fate)
    def notify_one(self, index: int, fate: str) -> None:
        self.notify_several([index], 1, is_kept=True, fate=fate)

    @rule(recipients=some_users, size=st.integers(1, 3), is_kept=mostly, fate=a_fate)
    def notify_several(self, recipients: list[int], size: int, is_kept: bool, fate: str) -> None:
        def write() -> None:
            for _ in range(size):
                notify([self.users[index] for index in recipients], Announcement(next(self.titles)))

        self.write(write, is_kept, fate)

    @precondition(lambda self: self.pks)
    @rule(index=a_user, picks=some_notifications, act=st.sampled_from(ACTS), is_kept=mostly, fate=a_fate)
    def change(self, index: int, picks: list[int], act: Act, is_kept: bool, fate: str) -> None:
        self.write(lambda: act(self.users[index], self.picked(picks)), is_kept, fate)

    @precondition(lambda self: self.pks)
    @rule(index=a_user, back=a_number, fate=a_fate)
    def read_all_but_the_latest(self, index: int, back: int, fate: str) -> None:
        user = self.users[index]
        up_to = Inbox.objects.get(user=user).sequence - back
        self.write(lambda: mark_all_read(user, max(0, up_to)), True, fate)

    @precondition(lambda self: self.pks)
    @rule(picks=some_notifications, fate=a_fate)
    def purge(self, picks: list[int], fate: str) -> None:
        old = Notification.objects.filter(pk__in=self.picked(picks))
        for one in old:
            self.purged[one.recipient_id][one.pk] = one.sequence
        old.update(created_at=timezone.now() - timedelta(days=1_000))
        self.write(purge, True, fate)

    # ----------------------------------------------------------------------------------------------- who listens to it

    @precondition(lambda self: self.absent())
    @rule(number=a_number, cursor=st.sampled_from(["its own", "a page's", "0", "null"]), joining=a_way_to_join)
    def subscribe(self, number: int, cursor: str, joining: str) -> None:
        client = self.absent()[number % len(self.absent())]
        if cursor == "a page's":
            page = self.runner.run(alist_notifications(client.user, NotificationQuerySet.all, 1_000, None))
            client.begin(page.sequence, page.notifications)
        elif cursor != "its own":
            client.begin(0 if cursor == "0" else None)
        is_expired = client.cursor is not None and client.cursor < self.floor(client.user)
        self.do(lambda: self.subscribe_all([client], joining))
        assert (client.task is None) == is_expired

    async def subscribe_all(self, clients: list[Client], joining: str) -> None:
        if joining == "late":
            self.layer.can_join.clear()
        elif joining == "never":
            self.layer.is_away = True
            self.deaf |= {client.user.pk for client in clients}
        for client in clients:
            client.reads.set()
            client.task = asyncio.create_task(client.subscribe())
        await self.loop.settle()
        if joining == "late":
            await anotify([client.user for client in clients], Announcement(next(self.titles)))
        self.layer.can_join.set()
        self.layer.is_away = False

    @precondition(lambda self: len(self.present()) > 2)
    @rule(number=a_number)
    def disconnect(self, number: int) -> None:
        self.do(self.present()[number % len(self.present())].disconnect)

    @precondition(lambda self: self.present(reads=True))
    @rule(number=a_number, missed=st.integers(0, 4))
    def stop_reading(self, number: int, missed: int) -> None:
        readers = self.present(reads=True)
        client = readers[number % len(readers)]
        client.reads.clear()
        for _ in range(missed):
            self.notify_one(self.users.index(client.user), "delivered")

    @precondition(lambda self: self.present(reads=False))
    @rule(number=a_number)
    def go_on(self, number: int) -> None:
        others = self.present(reads=False)
        self.do(others[number % len(others)].reads.set)

    # ------------------------------------------------------------------------------------- what becomes of the wake-ups

    @precondition(lambda self: self.layer.held)
    @rule(number=a_number, how_many=st.integers(1, 8), fate=a_fate)
    def deliver_or_lose(self, number: int, how_many: int, fate: str) -> None:
        self.dispose(fate, number % len(self.layer.held), how_many)

    def dispose(self, fate: str, first: int, how_many: int) -> None:
        """What becomes of those wake-ups among all that are held."""
        some = slice(first, first + how_many)
        messages = self.layer.held[some]
        if fate in {"delivered", "lost"}:
            del self.layer.held[some]
        if fate == "lost":
            groups = {group for group, _, _ in messages}
            self.deaf |= {user.pk for user in self.users if group_name(user.pk) in groups}
        elif fate != "held":
            self.do(lambda: self.layer.deliver(messages))

    @precondition(lambda self: not self.deaf)
    @rule(is_away=st.booleans())
    def lose_the_groups(self, is_away: bool) -> None:
        """Silently, as when it is flushed, or because it is away, which is noticed."""
        self.deaf = {user.pk for user in self.users}
        self.layer.groups.clear()
        if not is_away:
            self.forgotten = {user.pk for user in self.users}
        else:
            self.do(self.layer.go_away)
            self.notify_several([0, 1], 1, is_kept=True, fate="lost")
            self.layer.is_away = False

    @precondition(lambda self: self.layer.held or self.deaf)
    @rule()
    def poll(self) -> None:
        behind = {client.user.pk for client in self.present(reads=True) if not self.is_up_to_date(client)}
        self.do(lambda: self.loop.put_forward(settings.NOTIFICATIONS_POLL_SECONDS))
        listened_for = {user.pk for user in self.users if self.layer.groups.get(group_name(user.pk))}
        assert {one.user.pk for one in self.present()} - listened_for <= self.forgotten - behind
        self.deaf -= listened_for
        self.forgotten -= listened_for

    # Hypothesis draws among names, and so these happen more often than the others.
    notify_one_2 = notify_one
    poll_2 = poll
    subscribe_2 = subscribe
    change_2 = change
    deliver_or_lose_2 = deliver_or_lose

    # ------------------------------------------------------------------------------------------------ what must be true

    def absent(self) -> list[Client]:
        return [client for client in self.clients if client.task is None]

    def present(self, *, reads: bool | None = None) -> list[Client]:
        present = [client for client in self.clients if client.task is not None]
        return [client for client in present if reads in {None, client.reads.is_set()}]

    def picked(self, picks: list[int]) -> list[int]:
        return [self.pks[-1 - pick] for pick in picks if pick < len(self.pks)]

    def write(self, write: Callable[[], object], is_kept: bool, fate: str) -> None:
        def transact() -> None:
            with suppress(RollBack), transaction.atomic():
                write()
                if not is_kept:
                    raise RollBack

        earlier = len(self.layer.held)
        self.do(database_sync_to_async(transact))
        self.dispose(fate, earlier, len(self.layer.held))

    def do(self, act: Callable[[], Awaitable[object] | None]) -> None:
        """One step, until nothing moves any more; then everything must be as it should."""

        async def step() -> None:
            if (awaitable := act()) is not None:
                await awaitable
            await self.loop.settle()

        self.went_well = False
        self.runner.run(step())
        self.check()
        self.went_well = True

    def check(self) -> None:
        inboxes = Inbox.objects.in_bulk([user.pk for user in self.users])
        rows: dict[int, dict[int, State]] = {user.pk: {} for user in self.users}
        for one in Notification.objects.filter(recipient__in=self.users):
            rows[one.recipient_id] |= states([one])
        self.pks = sorted(pk for of_one_user in rows.values() for pk in of_one_user)
        for user, inbox in inboxes.items():
            assert inbox.unread == sum(not (row.is_read or row.is_archived) for row in rows[user].values())
        for client in self.present():
            self.check_end(client)
        for client in self.clients:
            self.check_copy(client, inboxes[client.user.pk], rows[client.user.pk])
            if client.position is not None and client.reads.is_set() and not self.may_be_behind(client.user):
                assert client.position == inboxes[client.user.pk].sequence  # G2: at once, where the layer is healthy

    def check_end(self, client: Client) -> None:
        """G6: a subscription ends for nothing but a cursor from before a purge."""
        assert client.task is not None
        if client.task.done():
            with suppress(CursorExpired):
                client.task.result()
            assert client.cursor is not None
            assert client.cursor < self.floor(client.user)
            client.task = client.position = None

    def check_copy(self, client: Client, inbox: Inbox, rows: dict[int, State]) -> None:
        """G2, G6, G7: up to its cursor it lacks nothing, and has nothing but what was so."""
        purged = self.purged[client.user.pk]
        for pk, told in client.copy.items():
            assert told.sequence < rows[pk].sequence or told == rows[pk] if pk in rows else told.sequence <= purged[pk]
        covered = range(client.since + 1, (client.cursor or 0) + 1)
        assert {pk: row for pk, row in rows.items() if row.sequence in covered}.items() <= client.copy.items()
        assert all(client.copy[pk].sequence == sequence for pk, sequence in purged.items() if sequence in covered)
        if client.position == inbox.sequence:
            assert client.unread == inbox.unread

    def floor(self, user: User) -> int:
        return max(self.purged[user.pk].values(), default=0)

    def is_up_to_date(self, client: Client) -> bool:
        return client.position == Inbox.objects.get(user=client.user).sequence

    def may_be_behind(self, user: User) -> bool:
        return user.pk in self.deaf or any(group == group_name(user.pk) for group, _, _ in self.layer.held)

    def teardown(self) -> None:
        """G2: one poll later, whatever the layer did, everybody who reads is where the inbox is."""
        with self.runner:
            if self.went_well:
                for client in self.present():
                    self.do(client.reads.set)
                self.poll()
                assert all(self.is_up_to_date(client) for client in self.present())
            for client in self.present():
                self.runner.run(client.disconnect())


def test_any_order(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(channel_layers.backends, "default", None)
    # Small, so that a short story reaches them.
    monkeypatch.setattr(changes, "PAGE", 3)
    monkeypatch.setattr(changes, "MAX_NEWS", 6)
    monkeypatch.setattr(subscriptions, "MAX_PENDING", 2)
    monkeypatch.setattr(services, "MAX_PUBLISHED", 3)
    run_state_machine_as_test(
        Story,
        settings=hypothesis_settings(
            max_examples=60,
            stateful_step_count=40,
            deadline=None,
            derandomize=True,  # the same stories each time: a verdict, not a lottery,
            suppress_health_check=[HealthCheck.too_slow],  # wherever it runs
        ),
    )
