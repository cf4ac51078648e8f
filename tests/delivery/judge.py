"""The judge of a trial of delivery. It knows the promises and the logs, and nothing of the application.

Publishers log what they committed, clients log every frame, and SQL is the truth at the end:

- A publisher's line is `{"event": "begin", "batch": "p1-17", "recipients": [3, 9], "at": 12.5}` before the write, and
  `{"event": "committed" | "rolled back" | "unknown", "batch", "at"}` after it. No such line means unknown as well. A
  batch writes one notification to each of its recipients, entitled with the batch's unique name, all or none.
- A client is a program that stays, and reconnects with its cursor: `{"client": "7a", "user": 7, "events": [...]}`. Its
  events are `{"event": "subscribe", "after": 0, "at"}`, `{"event": "frame", "message": {...}, "at"}` with a message of
  that subscription in the graphql-transport-ws protocol, and `{"event": "closed", "code": 1006, "at"}`.
- SQL says `{"recipient_id", "sequence", "title", "read_at", "archived_at"}` of each notification (the last two:
  whether they are set), and `{user_id: {"sequence", "unread"}}` of the inboxes.

Times are seconds of one monotonic clock.
"""

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from math import ceil

KINDS = ("lost", "twice", "out_of_order", "foreign", "phantom", "dishonest")

RETRIED = {1000, 1001, 1005, 1006, 1012, 1013, 1014}
GIVEN_UP = {4004, 4005, 4400, 4401, 4406, 4409, 4429, 4500}
SIGNED_OUT = 4403


def is_fatal(code: int) -> bool:
    """Whether a client has no way back: graphql-ws gives up for good, or the user was signed out, which nobody was."""
    return (1000 <= code <= 1999 and code not in RETRIED) or code in GIVEN_UP or code == SIGNED_OUT


@dataclass(frozen=True)
class Verdict:
    """The faults, one readable line each, and the figures."""

    lost: list[str] = field(default_factory=list)
    """Committed and not kept, or kept and not told to who followed."""
    twice: list[str] = field(default_factory=list)
    """Written twice, or the same state of a notification twice on one subscription."""
    out_of_order: list[str] = field(default_factory=list)
    """Outside of what its message covers, which begins where the one before ended."""
    foreign: list[str] = field(default_factory=list)
    """Somebody else's."""
    phantom: list[str] = field(default_factory=list)
    """Told or kept, and never so."""
    dishonest: list[str] = field(default_factory=list)
    """An error, an end without a way back, a cursor that was not kept to, a count that is not the inbox's."""

    committed: int = 0
    """Notifications, one for each recipient, whose commit was confirmed."""
    delivered_live: int = 0
    delivered_by_replay: int = 0
    """First arrivals of a notification at a client: by replay in what answers an `after`, all pages of it."""
    delays: list[float] = field(default_factory=list)
    """Seconds from the commit to each live first arrival."""
    last: float = 0.0
    """Seconds from the last commit to the last first arrival."""

    @property
    def faults(self) -> list[str]:
        return [f"{kind}: {fault}" for kind in KINDS for fault in getattr(self, kind)]

    @property
    def p99(self) -> float:
        """The delay that 99 in 100 keep within."""
        return sorted(self.delays)[ceil(len(self.delays) * 0.99) - 1] if self.delays else 0.0


def judge(
    published: Iterable[dict], clients: Iterable[dict], notifications: Iterable[dict], inboxes: dict[int, dict]
) -> Verdict:
    """Reads the logs to the end, however many faults there are on the way."""
    verdict = Verdict()
    logs = list(clients)
    truth = Truth(published, notifications, inboxes)
    truth.check(verdict)
    sightings = Sightings(logs, truth)
    sightings.check(verdict)
    followers = [Follower(log, truth, sightings, verdict) for log in logs]
    for follower in followers:
        follower.follow()
    commits = [batch.committed_at for batch in truth.batches.values() if batch.committed_at is not None]
    arrivals = [at for follower in followers for at in follower.arrived.values()]
    return replace(
        verdict,
        committed=sum(len(batch.recipients) for batch in truth.batches.values() if batch.committed_at is not None),
        delivered_live=sum(follower.live for follower in followers),
        delivered_by_replay=sum(len(follower.arrived) - follower.live for follower in followers),
        last=max(0.0, max(arrivals) - max(commits)) if arrivals and commits else 0.0,
    )


@dataclass
class Batch:
    recipients: set[int]
    outcome: str = "unknown"
    committed_at: float | None = None


class Truth:
    """What was attempted, and what there is in the end."""

    def __init__(self, published: Iterable[dict], notifications: Iterable[dict], inboxes: dict[int, dict]) -> None:
        self.batches: dict[str, Batch] = {}
        # An end may be read before its beginning: each publisher has a file.
        for line in sorted(published, key=lambda line: line["event"] != "begin"):
            if line["event"] == "begin":
                self.batches[line["batch"]] = Batch(set(line["recipients"]))
            else:
                batch = self.batches[line["batch"]]
                batch.outcome = line["event"]
                batch.committed_at = line["at"] if line["event"] == "committed" else None
        self.inboxes = inboxes
        self.all_rows = sorted(notifications, key=_sequence)
        self.rows = {(row["recipient_id"], row["title"]): row for row in self.all_rows}
        self.owed: dict[int, list[dict]] = defaultdict(list)
        for row in self.all_rows:
            if self.why_not(row["recipient_id"], row["title"]) is None:
                self.owed[row["recipient_id"]].append(row)

    def inbox(self, user: int) -> dict:
        return self.inboxes.get(user, {"sequence": 0, "unread": 0})

    def changed(self, user: int, after: int, sequence: int) -> list[dict]:
        """The rows whose last change is in that interval, its beginning excluded."""
        rows = self.owed[user]
        return rows[bisect_right(rows, after, key=_sequence) : bisect_right(rows, sequence, key=_sequence)]

    def why_not(self, user: int, title: str) -> tuple[str, str] | None:
        """What is wrong with such a notification for such a user: the kind of fault, and the reason."""
        batch = self.batches.get(title)
        if batch is None:
            return "phantom", "which nobody published"
        if user not in batch.recipients:
            return "foreign", f"which was for {sorted(batch.recipients)}"
        if batch.outcome == "rolled back":
            return "phantom", "which was rolled back"
        if batch.outcome == "unknown" and (user, title) not in self.rows:
            return "phantom", "which SQL lacks"
        return None

    def check(self, verdict: Verdict) -> None:
        """G1, whether or not anyone listened."""
        wrong: set[int] = set()  # users whose rows are not what was published: their counts are no further fault
        seen: set[tuple[int, str]] = set()
        for row in self.all_rows:
            user, title = key = row["recipient_id"], row["title"]
            if why := self.why_not(user, title):
                getattr(verdict, why[0]).append(f"SQL has {title} for {user}, {why[1]}")
                wrong.add(user)
            elif key in seen:
                verdict.twice.append(f"SQL has {title} for {user} more than once")
                wrong.add(user)
            seen.add(key)
        for title, batch in self.batches.items():
            missing = sorted(user for user in batch.recipients if (user, title) not in seen)
            in_part = batch.outcome == "unknown" and len(missing) < len(batch.recipients)
            if missing and (in_part or batch.outcome == "committed"):
                which = "and has it for its other recipients" if in_part else "which was committed"
                verdict.lost.append(f"SQL lacks {title} for {missing}, {which}")
                wrong.update(missing)
        for user in (self.inboxes.keys() | self.owed.keys()) - wrong:
            inbox, rows = self.inbox(user), self.owed[user]
            unread = sum(not row["read_at"] and not row["archived_at"] for row in rows)
            if inbox["unread"] != unread:
                verdict.dishonest.append(f"the inbox of {user} counts {inbox['unread']} unread, and has {unread}")
            if rows and rows[-1]["sequence"] > inbox["sequence"]:
                verdict.dishonest.append(f"the inbox of {user} is at {inbox['sequence']}, and has a later change")


class Sightings:
    """Under which ids the notifications were seen. SQL is not asked for them, so they are held against each other."""

    def __init__(self, logs: list[dict], truth: Truth) -> None:
        self._truth = truth
        self._ids: dict[tuple[int, str], set[str]] = defaultdict(set)
        self._seen: dict[str, set[tuple[int, str]]] = defaultdict(set)
        for log in logs:
            for event in log["events"]:
                for one in _notifications(event):
                    key = log["user"], one["title"]
                    self._ids[key].add(one["id"])
                    self._seen[one["id"]].add(key)

    def owners(self, seen_id: str) -> set[int]:
        """Whose it can be. Of the recipients of one batch it is not theirs who know their own by another id as well."""
        keys = {key for key in self._seen[seen_id] if self._truth.why_not(*key) is None}
        only = {key for key in keys if self._ids[key] == {seen_id}}
        return {user for user, _ in only or keys}

    def check(self, verdict: Verdict) -> None:
        for seen_id, keys in self._seen.items():
            if len(owners := self.owners(seen_id)) > 1:
                verdict.foreign.append(f"id {seen_id} came to all of {sorted(owners)}")
            titles = {title for _, title in keys}
            if len(titles) > 1:
                verdict.phantom.append(f"id {seen_id} is all of {sorted(titles)}")
        for (user, title), ids in self._ids.items():
            own = {one for one in ids if user in self.owners(one)}
            if len(own) > 1:
                verdict.phantom.append(f"{title} for {user} has all the ids {sorted(own)}")


class Subscription:
    """What one subscription was told. `start` and `position` are not known before its first message."""

    def __init__(self, after: int | None) -> None:
        self.after = after
        self.start: int | None = None
        self.position = 0
        self.messages: set[tuple[int, tuple[tuple[str, int], ...]]] = set()
        self.sequences: list[int] = []
        self.states: set[tuple[str, int]] = set()
        self.replaying = after is not None


class Follower:
    """One client's log, read from its beginning to its end."""

    def __init__(self, log: dict, truth: Truth, sightings: Sightings, verdict: Verdict) -> None:
        self.name: str = log["client"]
        self.user: int = log["user"]
        self.arrived: dict[str, float] = {}
        """When each notification first arrived, in whatever state."""
        self.live = 0
        self._events: list[dict] = log["events"]
        self._truth = truth
        self._sightings = sightings
        self._verdict = verdict
        self._inbox = truth.inbox(self.user)
        self._subscription: Subscription | None = None
        self._began_at = min((event["at"] for event in self._events if event["event"] == "subscribe"), default=0.0)
        self._since: int | None = None  # the number from which on everything is owed
        self._position = 0
        self._states: set[tuple[str, int]] = set()
        self._missed: set[str] = set()

    def follow(self) -> None:
        for event in self._events:
            match event["event"]:
                case "subscribe":
                    self._end_subscription()
                    self._subscription = Subscription(event["after"])
                    if event["after"] is not None:
                        self._position = event["after"]
                case "frame":
                    self._frame(event)
                case "closed":
                    self._end_subscription()
                    if is_fatal(event["code"]):
                        self._verdict.dishonest.append(f"{self.name} was closed for good with {event['code']}")
        self._end_subscription()
        self._end()

    def _frame(self, event: dict) -> None:
        message = event["message"]
        if message["type"] in {"ping", "pong"}:
            return
        if self._subscription is None:
            self._verdict.dishonest.append(f"{self.name} has no subscription, and got {message}")
        elif (change := _change(event)) is None:
            self._verdict.dishonest.append(f"{self.name} got {message}")
        else:
            self._message(self._subscription, change, event["at"])

    def _message(self, subscription: Subscription, change: dict, at: float) -> None:
        sequence: int = change["sequence"]
        what = f"{self.name}'s message of {sequence}"
        content = sequence, tuple((one["title"], one["sequence"]) for one in change["notifications"])
        if content in subscription.messages:
            self._verdict.twice.append(f"{what} came twice")
            return
        subscription.messages.add(content)
        if sequence > self._inbox["sequence"]:
            self._verdict.phantom.append(f"{what} is beyond the inbox's {self._inbox['sequence']}")
            return
        if sequence == self._inbox["sequence"] and change["unreadCount"] != self._inbox["unread"]:
            counts = f"counts {change['unreadCount']} unread, the inbox {self._inbox['unread']}"
            self._verdict.dishonest.append(f"{what} {counts}")

        late = False
        if subscription.start is None:
            subscription.start = sequence if subscription.after is None else subscription.after
            subscription.position = subscription.start
            self._since = subscription.start if self._since is None else min(self._since, subscription.start)
            if sequence < subscription.start:
                self._verdict.dishonest.append(f"{what} answers a cursor of {subscription.after}")
        elif late := sequence <= subscription.position:
            self._verdict.out_of_order.append(f"{what} came after the one of {subscription.position}")
        self._notifications(subscription, change, what, late, at)
        subscription.position = max(subscription.position, sequence)
        subscription.sequences.append(sequence)
        subscription.replaying = subscription.replaying and change["hasMore"]
        self._position = subscription.position

    def _notifications(self, subscription: Subscription, change: dict, what: str, late: bool, at: float) -> None:
        # A late message is one fault, and not one more for each notification in it.
        floor = 0 if late else subscription.position
        for one in change["notifications"]:
            title, sequence = state = one["title"], one["sequence"]
            told = f"{what} has {title} at {sequence}"
            if why := self._truth.why_not(self.user, title):
                getattr(self._verdict, why[0]).append(f"{told}, {why[1]}")
                continue
            if self.user not in self._sightings.owners(one["id"]):
                self._verdict.foreign.append(f"{told} by an id that is another recipient's")
                continue
            if state in subscription.states:
                self._verdict.twice.append(f"{told}, again")
                continue
            if not subscription.sequences and subscription.after is not None and sequence <= subscription.after:
                self._verdict.dishonest.append(f"{told}, and answers a cursor of {subscription.after}")
            elif not floor < sequence <= change["sequence"]:
                self._verdict.out_of_order.append(f"{told}, which is not between {floor} and its own")
            floor = max(floor, sequence)
            subscription.states.add(state)
            self._check_state(one, told)
            self._arrive(title, subscription.replaying, at)

    def _check_state(self, one: dict, told: str) -> None:
        row = self._truth.rows.get((self.user, one["title"]))
        if row is None:  # committed and gone: that is lost, and was said
            return
        if one["sequence"] > row["sequence"]:
            self._verdict.phantom.append(f"{told}, and its last change is {row['sequence']}")
        elif one["sequence"] == row["sequence"]:
            for shown, kept in (("readAt", "read_at"), ("archivedAt", "archived_at")):
                if (one[shown] is not None) != row[kept]:
                    self._verdict.phantom.append(f"{told} with {shown} {one[shown]}, and {kept} is {row[kept]}")

    def _arrive(self, title: str, by_replay: bool, at: float) -> None:
        if title in self.arrived:
            return
        self.arrived[title] = at
        if not by_replay:
            self.live += 1
            committed_at = self._truth.batches[title].committed_at
            if committed_at is not None and committed_at >= self._began_at:  # else it was the change that came live
                self._verdict.delays.append(max(0.0, at - committed_at))

    def _end_subscription(self) -> None:
        """G3, G7: what its messages covered, they must have told, in the state that was the last."""
        subscription, self._subscription = self._subscription, None
        if subscription is None or subscription.start is None:
            return
        self._states |= subscription.states
        sequences = sorted(subscription.sequences)
        for row in self._truth.changed(self.user, subscription.start, subscription.position):
            title, sequence = row["title"], row["sequence"]
            if (title, sequence) not in subscription.states:
                message = sequences[bisect_left(sequences, sequence)]
                self._verdict.lost.append(f"{self.name}'s message of {message} lacks {title} at {sequence}")
                self._missed.add(title)

    def _end(self) -> None:
        """G2: it has everything up to its position, on whichever subscription, and that is the inbox's number."""
        if self._since is not None:
            for row in self._truth.changed(self.user, self._since, self._position):
                title, sequence = row["title"], row["sequence"]
                if (title, sequence) not in self._states and title not in self._missed:
                    self._verdict.lost.append(f"{self.name} is at {self._position}, and lacks {title} at {sequence}")
        if self._position < self._inbox["sequence"]:
            missing = len(self._truth.changed(self.user, self._position, self._inbox["sequence"]))
            behind = f"ends at {self._position}, the inbox at {self._inbox['sequence']}"
            self._verdict.lost.append(f"{self.name} {behind}: {missing} notifications never came")


def _sequence(row: dict) -> int:
    return row["sequence"]


def _change(event: dict) -> dict | None:
    """What a frame tells, where it is one that tells something."""
    message = event["message"]
    if message["type"] != "next" or message["payload"].get("errors"):
        return None
    return (message["payload"].get("data") or {}).get("inboxChanged")


def _notifications(event: dict) -> Iterator[dict]:
    if event["event"] == "frame" and (change := _change(event)):
        yield from change["notifications"]
