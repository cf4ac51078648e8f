"""Each kind of fault is put into honest logs, and must be found, and it alone."""

from collections.abc import Callable, Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass, field
from random import Random

import pytest

from tests.delivery.judge import KINDS, Verdict, judge


@dataclass
class Logs:
    published: list[dict] = field(default_factory=list)
    clients: list[dict] = field(default_factory=list)
    notifications: list[dict] = field(default_factory=list)
    inboxes: dict[int, dict] = field(default_factory=dict)

    def verdict(self) -> Verdict:
        return judge(self.published, self.clients, self.notifications, self.inboxes)

    def events(self, client: str) -> list[dict]:
        [events] = [log["events"] for log in self.clients if log["client"] == client]
        return events


def found(logs: Logs) -> set[str]:
    verdict = logs.verdict()
    return {kind for kind in KINDS if getattr(verdict, kind)}


# --------------------------------------------------------------------------------------------------- one by hand


def begin(batch: str, recipients: list[int], at: float) -> dict:
    return {"event": "begin", "batch": batch, "recipients": recipients, "at": at}


def end(batch: str, event: str, at: float) -> dict:
    return {"event": event, "batch": batch, "at": at}


def subscribe(after: int | None, at: float) -> dict:
    return {"event": "subscribe", "after": after, "at": at}


def closed(code: int, at: float) -> dict:
    return {"event": "closed", "code": code, "at": at}


def one(user: int, title: str, sequence: int, *, read: bool = False) -> dict:
    read_at = "2026-11-21T12:00:00+00:00" if read else None
    return {"id": f"{title} for {user}", "sequence": sequence, "title": title, "readAt": read_at, "archivedAt": None}


def frame(sequence: int, unread: int, notifications: list[dict], at: float, *, has_more: bool = False) -> dict:
    change = {"sequence": sequence, "unreadCount": unread, "hasMore": has_more, "notifications": notifications}
    return {
        "event": "frame",
        "message": {"id": "1", "type": "next", "payload": {"data": {"inboxChanged": change}}},
        "at": at,
    }


def row(user: int, title: str, sequence: int, *, read: bool = False) -> dict:
    return {"recipient_id": user, "sequence": sequence, "title": title, "read_at": read, "archived_at": False}


def change_of(event: dict) -> dict:
    return event["message"]["payload"]["data"]["inboxChanged"]


@pytest.fixture
def logs() -> Logs:
    """Users 3 and 7, and two clients each.

    3 gets a (which he reads, so that it goes from 1 to 2), b, d, of which it is not known whether it was written, and
    e. 7 gets a, b and e.
    """
    return Logs(
        published=[
            begin("a", [3, 7], 1.0),
            end("a", "committed", 1.1),
            begin("b", [3, 7], 2.0),
            end("b", "committed", 2.1),
            begin("c", [7], 2.2),
            end("c", "rolled back", 2.3),
            begin("d", [3], 3.0),
            end("d", "unknown", 3.1),
            begin("e", [3, 7], 4.0),
            end("e", "committed", 4.1),
            begin("f", [3, 7], 5.0),
        ],
        clients=[
            {
                "client": "3a",
                "user": 3,
                "events": [
                    subscribe(None, 0.5),
                    frame(0, 0, [], 0.6),
                    frame(1, 1, [one(3, "a", 1)], 1.3),
                    closed(4503, 1.4),
                    subscribe(1, 2.5),
                    frame(3, 1, [one(3, "a", 2, read=True), one(3, "b", 3)], 2.6),
                    frame(4, 2, [one(3, "d", 4)], 3.2),
                    frame(5, 3, [one(3, "e", 5)], 4.6),
                ],
            },
            {
                "client": "3b",
                "user": 3,
                "events": [
                    subscribe(None, 0.5),
                    closed(1006, 0.6),
                    subscribe(None, 1.2),
                    frame(1, 1, [], 1.3),
                    frame(3, 1, [one(3, "a", 2, read=True), one(3, "b", 3)], 2.2),
                    frame(5, 3, [one(3, "d", 4), one(3, "e", 5)], 4.3),
                ],
            },
            {
                "client": "7a",
                "user": 7,
                "events": [
                    subscribe(0, 3.0),
                    frame(1, 2, [one(7, "a", 1)], 3.1, has_more=True),
                    frame(2, 2, [one(7, "b", 2)], 3.2),
                    frame(3, 3, [one(7, "e", 3)], 4.05),
                ],
            },
            {
                "client": "7b",
                "user": 7,
                "events": [subscribe(0, 9.0), frame(3, 3, [one(7, "a", 1), one(7, "b", 2), one(7, "e", 3)], 9.1)],
            },
        ],
        notifications=[
            *[row(3, "a", 2, read=True), row(3, "b", 3), row(3, "d", 4), row(3, "e", 5)],
            *[row(7, "a", 1), row(7, "b", 2), row(7, "e", 3)],
        ],
        inboxes={3: {"sequence": 5, "unread": 3}, 7: {"sequence": 3, "unread": 3}},
    )


def test_it_works(logs: Logs) -> None:
    verdict = logs.verdict()
    assert not verdict.faults
    assert verdict.committed == 6
    assert verdict.delivered_live == 8  # 3a: a d e, 3b: a b d e, 7a: e
    assert verdict.delivered_by_replay == 6  # 3a: b, 7a: a b, 7b: a b e
    # d has no delay: when it was committed is not known. 7a's e came before its commit was logged.
    assert sorted(verdict.delays) == pytest.approx([0, 0.1, 0.2, 0.2, 0.5, 1.1])
    assert verdict.p99 == pytest.approx(1.1)
    assert verdict.last == pytest.approx(5)


def test_nothing_at_all_is_no_fault() -> None:
    verdict = Logs().verdict()
    assert not verdict.faults
    assert (verdict.p99, verdict.last) == (0, 0)


def test_p99_is_what_99_in_100_keep_within() -> None:
    assert Verdict(delays=[float(number) for number in range(200, 0, -1)]).p99 == 198


def test_the_order_of_the_publishers_lines_does_not_matter(logs: Logs) -> None:
    logs.published.reverse()
    assert not logs.verdict().faults


def test_without_a_client_only_the_rows_are_judged(logs: Logs) -> None:
    logs.clients.clear()
    verdict = logs.verdict()
    assert not verdict.faults
    assert (verdict.committed, verdict.last) == (6, 0)


def test_a_fault_is_said_once_and_readable(logs: Logs) -> None:
    del logs.events("3a")[-1]
    change_of(logs.events("7a")[2])["notifications"].clear()
    assert logs.verdict().faults == [
        "lost: 3a ends at 4, the inbox at 5: 1 notifications never came",
        "lost: 7a's message of 2 lacks b at 2",
    ]


type Fault = Callable[[Logs], object]


def edit(client: str, event: int, **changes: object) -> Fault:
    return lambda logs: change_of(logs.events(client)[event]).update(changes)


def more(client: str, *events: dict) -> Fault:
    return lambda logs: logs.events(client).extend(events)


def instead(client: str, first: int, *events: dict) -> Fault:
    """These events instead of all from `first` on."""
    return lambda logs: logs.events(client).__setitem__(slice(first, None), events)


def say(client: str, **message: object) -> Fault:
    return more(client, {"event": "frame", "message": {"id": "1", **message}, "at": 9.9})


def keep(*rows: dict) -> Fault:
    return lambda logs: logs.notifications.extend(rows)


def stand(user: int, sequence: int, unread: int) -> Fault:
    return lambda logs: logs.inboxes.update({user: {"sequence": sequence, "unread": unread}})


def each(*faults: Fault) -> Fault:
    return lambda logs: [fault(logs) for fault in faults]


def unread_of_7(unread: int) -> Fault:
    """The inbox counts that many, and its clients heard it."""
    return each(stand(7, 3, unread), edit("7a", 3, unreadCount=unread), edit("7b", 1, unreadCount=unread))


FAULTS: dict[str, tuple[str, Fault]] = {
    "a committed row is missing": ("lost", lambda logs: logs.notifications.remove(row(7, "b", 2))),
    "half of an unknown batch": ("lost", lambda logs: logs.published[6]["recipients"].append(7)),
    "a row twice": ("twice", keep(row(7, "b", 2))),
    "a row of an unknown title": ("phantom", keep(row(7, "x", 2))),
    "a row that was rolled back": ("phantom", keep(row(7, "c", 2))),
    "a row that was rolled back, and counted": ("phantom", each(keep(row(7, "c", 2)), unread_of_7(4))),
    "a row for somebody else": ("foreign", keep(row(7, "d", 2))),
    "an inbox that counts wrong": ("dishonest", unread_of_7(2)),
    "a row later than its inbox": (
        "dishonest",
        each(
            stand(7, 2, 3),
            edit("7a", 2, unreadCount=3),
            instead("7a", 3),
            edit("7b", 1, notifications=[one(7, "a", 1), one(7, "b", 2)], sequence=2),
        ),
    ),
    "a client that is stuck": ("lost", instead("3b", 5)),
    "a client that never heard anything": ("lost", instead("7b", 1)),
    "a client that came back and heard nothing": ("lost", more("7b", closed(1006, 9.2), subscribe(2, 9.3))),
    "a gap in a message": ("lost", edit("3b", 4, notifications=[one(3, "b", 3)])),
    "a gap in a replay": ("lost", edit("7b", 1, notifications=[one(7, "a", 1), one(7, "e", 3)])),
    "a gap between two subscriptions": (
        "lost",
        each(lambda logs: logs.events("3a")[4].update(after=2), edit("3a", 5, notifications=[one(3, "b", 3)])),
    ),
    "a new beginning that forgets": (
        "lost",
        instead("3b", 5, subscribe(None, 4.2), frame(4, 2, [], 4.3), frame(5, 3, [one(3, "e", 5)], 4.4)),
    ),
    "a last state that never came, of what came once": ("lost", edit("3a", 5, notifications=[one(3, "b", 3)])),
    "a rolled back notification": ("phantom", edit("7a", 3, notifications=[one(7, "c", 3), one(7, "e", 3)])),
    "an unknown one that was not written": ("phantom", edit("7a", 3, notifications=[one(7, "e", 3), one(7, "f", 3)])),
    "a later state than the last": (
        "phantom",
        each(stand(7, 4, 3), more("7a", frame(4, 3, [one(7, "e", 4)], 9.9)), more("7b", frame(4, 3, [], 9.9))),
    ),
    "read, and it is not": ("phantom", edit("7a", 2, notifications=[one(7, "b", 2, read=True)])),
    "unread, and it is not": ("phantom", edit("3a", 5, notifications=[one(3, "a", 2), one(3, "b", 3)])),
    "archived, and it is not": ("phantom", edit("7a", 2, notifications=[one(7, "b", 2) | {"archivedAt": "2026"}])),
    "an id for two titles": (
        "phantom",
        each(
            edit("7a", 2, notifications=[one(7, "b", 2) | {"id": "a for 7"}]),
            edit("7b", 1, notifications=[one(7, "a", 1), one(7, "b", 2) | {"id": "a for 7"}, one(7, "e", 3)]),
        ),
    ),
    "another id for a title": ("phantom", edit("7a", 2, notifications=[one(7, "b", 2) | {"id": "z"}])),
    "an id of the other recipient": (
        "foreign",
        edit("7a", 2, notifications=[one(7, "b", 2), one(7, "b", 2) | {"id": "b for 3"}]),
    ),
    "one id for both recipients": (
        "foreign",
        each(
            *(
                edit("3a", 5, notifications=[one(3, "a", 2, read=True), one(3, "b", 3) | {"id": "z"}]),
                edit("3b", 4, notifications=[one(3, "a", 2, read=True), one(3, "b", 3) | {"id": "z"}]),
                edit("7a", 2, notifications=[one(7, "b", 2) | {"id": "z"}]),
                edit("7b", 1, notifications=[one(7, "a", 1), one(7, "b", 2) | {"id": "z"}, one(7, "e", 3)]),
            )
        ),
    ),
    "a message beyond the inbox": ("phantom", more("7a", frame(4, 3, [], 9.9))),
    "a first message from before its cursor": ("dishonest", more("7b", subscribe(3, 9.2), frame(2, 3, [], 9.3))),
    "a first message with what the cursor had": (
        "dishonest",
        more("7b", subscribe(2, 9.2), frame(3, 3, [one(7, "b", 2), one(7, "e", 3)], 9.3)),
    ),
    "a first message without a cursor, with what was before": (
        "out_of_order",
        edit("3b", 3, notifications=[one(3, "a", 1)]),
    ),
    "a message of the same number": ("out_of_order", more("7a", frame(3, 3, [], 9.9))),
    "a notification beyond its message": (
        "out_of_order",
        each(edit("3a", 6, notifications=[one(3, "d", 4), one(3, "e", 5)]), edit("3a", 7, notifications=[])),
    ),
    "two notifications in the wrong order": (
        "out_of_order",
        edit("3b", 5, notifications=[one(3, "e", 5), one(3, "d", 4)]),
    ),
    "a wrong count": ("dishonest", edit("3b", 5, unreadCount=2)),
    "an error": ("dishonest", say("7a", type="error", payload=[{"message": "No."}])),
    "an end": ("dishonest", say("7a", type="complete")),
    "an answer with errors": (
        "dishonest",
        say("7a", type="next", payload={"data": None, "errors": [{"message": "No."}]}),
    ),
    "an empty answer": ("dishonest", say("7a", type="next", payload={"data": None})),
    "an answer with data and errors": (
        "dishonest",
        say("7a", type="next", payload={"data": {"inboxChanged": change_of(frame(3, 3, [], 0))}, "errors": [{}]}),
    ),
    "a frame after the end": ("dishonest", more("7a", closed(1006, 9.8), frame(3, 3, [], 9.9))),
}


@pytest.mark.parametrize(("kind", "fault"), FAULTS.values(), ids=list(FAULTS))
def test_a_fault_is_found(logs: Logs, kind: str, fault: Fault) -> None:
    fault(logs)
    assert found(logs) == {kind}, logs.verdict().faults


@pytest.mark.parametrize("code", [1002, 1003, 1011, 4400, 4401, 4403, 4429, 4500])
def test_being_closed_for_good_is_a_fault(logs: Logs, code: int) -> None:
    logs.events("3a")[3].update(code=code)
    assert found(logs) == {"dishonest"}


@pytest.mark.parametrize("code", [1000, 1001, 1006, 1012, 4408, 4499, 4503])
def test_being_closed_with_a_way_back_is_none(logs: Logs, code: int) -> None:
    logs.events("3a")[3].update(code=code)
    assert not logs.verdict().faults


def test_pings_are_no_fault(logs: Logs) -> None:
    say("7a", type="ping")(logs)
    assert not logs.verdict().faults


# ------------------------------------------------------------------------------------------- many, by a generator


class Site:
    """A small honest site: inboxes, clients that come and go, and what each of them is told."""

    PAGE = 3

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.logs = Logs()
        self.now = 0.0
        self.clients = [Client(self, f"{user}{letter}", user, after) for user in (3, 7, 9) for letter, after in AFTERS]
        self.inboxes: dict[int, int] = {3: 0, 7: 0, 9: 0}
        self.rows: dict[int, list[dict]] = {user: [] for user in self.inboxes}

    def tick(self) -> float:
        self.now += self.random.random()
        return self.now

    def run(self) -> Logs:
        for client in self.clients:
            client.connect()
        for number in range(40):
            self.publish(f"p-{number}") if self.random.random() < 0.7 else self.change()
            for client in self.clients:
                client.live()
        for client in self.clients:
            client.catch_up()
        self.logs.clients = [
            {"client": client.name, "user": client.user, "events": client.events} for client in self.clients
        ]
        for user, sequence in self.inboxes.items():
            for kept in self.rows[user]:
                states = {"read_at": kept["readAt"] is not None, "archived_at": kept["archivedAt"] is not None}
                named = {"recipient_id": user, "sequence": kept["sequence"], "title": kept["title"]}
                self.logs.notifications.append(named | states)
            self.logs.inboxes[user] = {"sequence": sequence, "unread": self.unread(user)}
        return self.logs

    def unread(self, user: int) -> int:
        return sum(one["readAt"] is None and one["archivedAt"] is None for one in self.rows[user])

    def publish(self, batch: str) -> None:
        recipients = self.random.sample(list(self.inboxes), self.random.randint(1, 3))
        event = self.random.choice(["committed", "committed", "committed", "rolled back", "unknown", ""])
        self.logs.published.append(begin(batch, recipients, self.tick()))
        if event == "committed" or (event != "rolled back" and self.random.random() < 0.5):
            for user in recipients:
                self.rows[user].append(one(user, batch, 0))
                self.stamp(user, self.rows[user][-1])
        if event:
            self.logs.published.append(end(batch, event, self.tick()))

    def change(self) -> None:
        user = self.random.choice(list(self.inboxes))
        if self.rows[user]:
            changed = self.random.choice(self.rows[user])
            what = self.random.choice(["readAt", "archivedAt"])
            changed[what] = "2026-11-21T12:00:00+00:00" if changed[what] is None else None
            self.stamp(user, changed)

    def stamp(self, user: int, changed: dict) -> None:
        """Gives it the inbox's next number, and tells those who are connected in the state that it has now."""
        self.inboxes[user] += 1
        changed["sequence"] = self.inboxes[user]
        for client in self.clients:
            if client.user == user and client.connected:
                client.pending.append((self.inboxes[user], self.unread(user), dict(changed)))


AFTERS = [("a", 0), ("b", None)]


class Client:
    def __init__(self, site: Site, name: str, user: int, after: int | None) -> None:
        self.site, self.name, self.user, self.cursor = site, name, user, after
        self.events: list[dict] = []
        self.connected = False
        self.pending: list[tuple[int, int, dict]] = []

    def connect(self) -> None:
        self.events.append(subscribe(self.cursor, self.site.tick()))
        self.connected = True
        if self.cursor is None:
            self.cursor = self.site.inboxes[self.user]
        self.read()

    def read(self) -> None:
        """What is after the cursor, in pages, as it is now."""
        self.pending.clear()
        cursor, sequence = self.cursor or 0, self.site.inboxes[self.user]
        newer = sorted((dict(one) for one in self.site.rows[self.user] if one["sequence"] > cursor), key=number_of)
        while len(newer) > Site.PAGE:
            page, newer = newer[: Site.PAGE], newer[Site.PAGE :]
            self.tell(page[-1]["sequence"], self.site.unread(self.user), page, has_more=True)
        self.tell(sequence, self.site.unread(self.user), newer)

    def tell(self, sequence: int, unread: int, notifications: list[dict], *, has_more: bool = False) -> None:
        self.events.append(frame(sequence, unread, notifications, self.site.tick(), has_more=has_more))
        self.cursor = sequence

    def live(self) -> None:
        chance = self.site.random.random()
        if not self.connected:
            if chance < 0.2:
                self.connect()
        elif chance < 0.05:
            self.events.append(closed(self.site.random.choice([1006, 1012, 4503]), self.site.tick()))
            self.connected = False
        elif chance < 0.15 and self.pending:
            self.read()
        elif chance < 0.8:
            self.pass_on()

    def pass_on(self) -> None:
        for sequence, unread, notification in self.pending:
            self.tell(sequence, unread, [notification])
        self.pending.clear()

    def catch_up(self) -> None:
        if self.connected:
            self.pass_on()
        else:
            self.connect()


def number_of(notification: dict) -> int:
    return notification["sequence"]


SEEDS = range(3)


def frames(logs: Logs) -> Iterator[tuple[list[dict], int]]:
    """Every frame of the logs: the events that it is among, and its index there."""
    for log in logs.clients:
        for index, event in enumerate(log["events"]):
            if event["event"] == "frame":
                yield log["events"], index


def each_frame(seed: int) -> Iterator[tuple[Logs, dict, list[dict], int]]:
    """Logs for each of their frames: the log and the events that this frame is among, and its index there."""
    honest = Site(seed).run()
    for number in range(sum(1 for _ in frames(honest))):
        logs = deepcopy(honest)
        events, index = list(frames(logs))[number]
        [log] = [log for log in logs.clients if log["events"] is events]
        yield logs, log, events, index


def is_last(logs: Logs, user: int, notification: dict) -> bool:
    """Whether that is the state in which it is kept: an earlier one may be skipped."""
    state = {"recipient_id": user, "sequence": notification["sequence"], "title": notification["title"]}
    return any(state.items() <= kept.items() for kept in logs.notifications)


def assert_found(faulty: Iterable[Logs], kind: str, *, at_least: int) -> None:
    tried = 0
    for logs in faulty:
        assert found(logs) == {kind}, logs.verdict().faults
        tried += 1
    assert tried >= at_least


@pytest.mark.parametrize("seed", range(50))
def test_an_honest_log_has_no_faults(seed: int) -> None:
    logs = Site(seed).run()
    verdict = logs.verdict()
    assert not verdict.faults
    assert verdict.committed > 0
    assert verdict.delivered_live > 0
    assert verdict.delivered_by_replay > 0


@pytest.mark.parametrize("seed", SEEDS)
def test_a_dropped_frame_is_lost(seed: int) -> None:
    def faulty() -> Iterator[Logs]:
        for logs, log, events, index in each_frame(seed):
            if any(is_last(logs, log["user"], one) for one in change_of(events[index])["notifications"]):
                del events[index]
                yield logs

    assert_found(faulty(), "lost", at_least=40)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_dropped_notification_is_lost(seed: int) -> None:
    def faulty() -> Iterator[Logs]:
        for logs, log, events, index in each_frame(seed):
            told = change_of(events[index])["notifications"]
            if told and is_last(logs, log["user"], told[-1]):
                told.pop()
                yield logs

    assert_found(faulty(), "lost", at_least=40)


@pytest.mark.parametrize("seed", SEEDS)
def test_two_swapped_frames_are_out_of_order(seed: int) -> None:
    def faulty() -> Iterator[Logs]:
        for logs, _, events, index in each_frame(seed):
            if events[index - 1]["event"] == "frame":
                events[index - 1], events[index] = events[index], events[index - 1]
                yield logs

    assert_found(faulty(), "out_of_order", at_least=40)


@pytest.mark.parametrize("seed", SEEDS)
def test_two_swapped_notifications_are_out_of_order(seed: int) -> None:
    def faulty() -> Iterator[Logs]:
        for logs, _, events, index in each_frame(seed):
            told = change_of(events[index])["notifications"]
            if len(told) > 1:
                told[0], told[1] = told[1], told[0]
                yield logs

    assert_found(faulty(), "out_of_order", at_least=5)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_doubled_frame_is_twice(seed: int) -> None:
    """At once, or later on the same subscription."""
    random = Random(seed)

    def faulty() -> Iterator[Logs]:
        for logs, _, events, index in each_frame(seed):
            end = next((n for n in range(index, len(events)) if events[n]["event"] != "frame"), len(events))
            events.insert(random.randint(index + 1, end), deepcopy(events[index]))
            yield logs

    assert_found(faulty(), "twice", at_least=40)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_doubled_notification_is_twice(seed: int) -> None:
    def faulty() -> Iterator[Logs]:
        for logs, _, events, index in each_frame(seed):
            told = change_of(events[index])["notifications"]
            if told:
                told.append(deepcopy(told[-1]))
                yield logs

    assert_found(faulty(), "twice", at_least=40)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_leaked_notification_is_foreign(seed: int) -> None:
    """Also that of another recipient of the same batch."""
    random = Random(seed)

    def faulty() -> Iterator[Logs]:
        for logs, log, events, index in each_frame(seed):
            foreign = [
                one
                for other in logs.clients
                if other["user"] != log["user"]
                for event in other["events"]
                if event["event"] == "frame"
                for one in change_of(event)["notifications"]
            ]
            told = change_of(events[index])["notifications"]
            told.insert(random.randint(0, len(told)), deepcopy(random.choice(foreign)))
            yield logs

    assert_found(faulty(), "foreign", at_least=40)


@pytest.mark.parametrize("seed", SEEDS)
def test_an_invented_notification_is_a_phantom(seed: int) -> None:
    """One that nobody published, or that was rolled back."""
    random = Random(seed)

    def faulty() -> Iterator[Logs]:
        for logs, log, events, index in each_frame(seed):
            never = ["x", *(line["batch"] for line in logs.published if line["event"] == "rolled back")]
            meant = {line["batch"]: line["recipients"] for line in logs.published if line["event"] == "begin"}
            title = random.choice([title for title in never if log["user"] in meant.get(title, [log["user"]])])
            change = change_of(events[index])
            change["notifications"].append(one(log["user"], title, change["sequence"]))
            yield logs

    assert_found(faulty(), "phantom", at_least=40)


@pytest.mark.parametrize("seed", SEEDS)
def test_an_invented_frame_is_a_phantom(seed: int) -> None:
    def faulty() -> Iterator[Logs]:
        for logs, log, events, index in each_frame(seed):
            sequence = logs.inboxes[log["user"]]["sequence"] + 1
            events.insert(index + 1, frame(sequence, 1, [one(log["user"], "x", sequence)], events[index]["at"]))
            yield logs

    assert_found(faulty(), "phantom", at_least=40)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_row_that_is_missing_is_lost(seed: int) -> None:
    def faulty() -> Iterator[Logs]:
        honest = Site(seed).run()
        committed = {line["batch"] for line in honest.published if line["event"] == "committed"}
        for row in honest.notifications:
            if row["title"] in committed:
                logs = deepcopy(honest)
                logs.notifications.remove(row)
                yield logs

    assert_found(faulty(), "lost", at_least=10)
