"""What is measured of a contender, in rows: dictionaries, one for each setting in which it was measured."""

import asyncio
import json
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from tests.bench import queries
from tests.bench.contenders import SITE, Contender, Web
from tests.bench.meter import Meter, Row, memory_kib, quantiles_ms
from tests.bench.subscribers import Crowd
from tests.delivery.site import Site, prepared
from tests.processes import ROOT

NOTIFICATIONS = 20
"""On the page that is asked for."""
TOKEN = "t" * 32
SILENCE = 3
"""Seconds without a receipt, after which what is missing is lost."""
STEADY_RATE = 2_000
"""Events a second at which all are compared, whether they keep up or not."""
LATE_MS = 100
"""The p99 up to which a rate counts,"""
TOO_LATE_MS = 1_000
"""and that at which nothing faster is tried."""
BROADCASTS = 3
# The statements of a server are logged, and so can be counted.
ROLE_OF_WEB = ("CREATE ROLE web SUPERUSER LOGIN", "ALTER ROLE web SET log_statement = 'all'")
MORE_NOTIFICATIONS = """INSERT INTO notifications_notification
    (recipient_id, sequence, kind, data, actor_id, created_at, read_at)
    SELECT recipient_id, old.sequence + round * inbox.sequence, kind, data, actor_id, created_at, read_at
    FROM notifications_notification old JOIN notifications_inbox inbox ON user_id = recipient_id
    CROSS JOIN generate_series(1, {times} - 1) AS round ORDER BY round, old.id"""
THEIR_INBOXES = "UPDATE notifications_inbox SET sequence = {times} * sequence, unread = {times} * unread"

type Publish = Callable[[Any], Awaitable[Any]]


@dataclass(frozen=True)
class Scale:
    users: int
    """Each with a subscription of their own."""
    askers: int
    """Of them, those who ask queries."""
    seconds: float
    """Of each load."""
    clients: Sequence[int]
    """Of a query, at a time."""
    rates: Sequence[int]
    """Events a second, each to one of the subscribers."""
    crowd: int
    """Users that one `notify` is for."""


class Bench:
    """A site, and its users, who are signed in there."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.users: list[Row] = []
        self._started = 0

    @classmethod
    @asynccontextmanager
    async def prepared(cls) -> AsyncIterator["Bench"]:
        async with prepared("bench-") as site:
            await site.python("manage.py", "migrate", "-v0")
            for statement in ROLE_OF_WEB:
                await site.postgresql.ask(statement)
            yield cls(site)

    async def grow(self, users: int, times: int) -> None:
        """To so many users, each with a page of notifications and five more, and so many times that."""
        seed = ("--users", str(users), "--notifications", str(NOTIFICATIONS + 5), "--force")
        await self.site.python("manage.py", "seed_demo", *seed, seconds=300)
        self.users = json.loads(await self.site.python("-m", "tests.bench.users", str(users)))
        for statement in (MORE_NOTIFICATIONS, THEIR_INBOXES, "VACUUM ANALYZE"):
            await self.site.postgresql.ask(statement.format(times=times))

    @asynccontextmanager
    async def serving(self, contender: Contender) -> AsyncIterator[Web]:
        """A new server process of it."""
        self._started += 1
        web = Web(self.site.directory / f"{contender.name}-{self._started}", contender, self.site.environment)
        try:
            await web.start()
            yield web
        finally:
            if web.runs():
                await web.kill()

    @asynccontextmanager
    async def publishing(self, contender: Contender, users: Sequence[int]) -> AsyncIterator[Publish]:
        """A process of `publisher.py`, which does what it is asked and says what came of it."""
        command = (sys.executable, "-m", "tests.bench.publisher", contender.publisher, json.dumps(users))
        process = await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, env=self.site.environment, stdin=PIPE, stdout=PIPE, limit=1 << 28
        )
        stdin, stdout = process.stdin, process.stdout
        assert stdin
        assert stdout

        async def publish(what: Any) -> Any:
            stdin.write(json.dumps(what).encode() + b"\n")
            return json.loads(await stdout.readline())

        try:
            yield publish
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    def headers(self, web: Web) -> list[str]:
        """Of each user's requests."""
        key = "plain" if web.contender.application.endswith("plain:application") else "ours"
        own = f"Origin: {web.url}\r\nX-CSRFToken: {TOKEN}"
        return [f"Cookie: sessionid={user[key]}; csrftoken={TOKEN}\r\n{own}" for user in self.users]

    # ------------------------------------------------------------------------------------------------------- queries

    async def queries(self, contender: Contender, scale: Scale) -> AsyncIterator[Row]:
        """W1. `answer` is what the first user got: without ids, which differ by schema."""

        def is_right(user: int, answer: bytes) -> bool:
            own, notifications = f'"{self.users[user]["email"]}"'.encode(), answer.count(b'"createdAt"')
            return own in answer and notifications == NOTIFICATIONS and b'"errors"' not in answer

        async with self.serving(contender) as web:
            query = json.dumps({"query": contender.query}).encode()
            requests = [queries.request(web.port, query, headers) for headers in self.headers(web)[: scale.askers]]
            client = await queries.Client.connected(web.port)
            answer, *_ = [await client.ask(request) for request in requests]  # what is done once a session is done
            client.close()
            for clients in scale.clients:
                await web.settled()
                meter = Meter(web, self.site.postgresql)
                latencies = await queries.load(web.port, requests, clients, scale.seconds, is_right)
                yield {
                    "work": "w1",
                    "clients": clients,
                    "queries": len(latencies),
                    "per_second": len(latencies) / scale.seconds,
                    "answer": list(leaves(json.loads(answer)["data"])),
                    **quantiles_ms(latencies),
                    **meter.per(len(latencies)),
                }

    # -------------------------------------------------------------------------------------------------------- events

    async def events(self, contender: Contender, scale: Scale) -> AsyncIterator[Row]:
        """W4, W3 and W2, on the same sockets."""
        users = scale.users
        async with self.serving(contender) as web, self.crowd(web, users, users) as (row, crowd, publish):
            yield row
            for _ in range(BROADCASTS):
                yield await self.broadcast(web, crowd, publish, users)
            steps = []
            for rate in scale.rates:
                steps.append(row := await self.at_rate(web, crowd, publish, rate, scale.seconds))
                yield row
                publisher_lags = row["published_per_second"] < 0.7 * rate
                if rate >= STEADY_RATE and (row["lost"] or row["p99_ms"] > TOO_LATE_MS or publisher_lags):
                    break
            yield at_best(steps)

    @asynccontextmanager
    async def crowd(self, web: Web, sockets: int, audience: int) -> AsyncIterator[tuple[Row, Crowd, Publish]]:
        """W4: so many subscribers. The first of them, the audience, will be sent something."""
        contender = web.contender
        crowd = Crowd(web.port, contender.subscription, self.headers(web), contender.greets)
        async with self.publishing(contender, [user["pk"] for user in self.users[:audience]]) as publish:
            await crowd.open(min(20, sockets // 2))
            await publish({"rate": 20, "seconds": 0.5})
            await web.settled()
            await crowd.collect(0, 0)
            memory, meter, began = memory_kib(web.pid), Meter(web, self.site.postgresql), time.monotonic()
            new = await crowd.open(sockets)
            row = {"work": "w4", "sockets": sockets, "per_second": new / (time.monotonic() - began), **meter.per(new)}
            await web.settled()
            row |= {"kib": (memory_kib(web.pid) - memory) / new, "fresh_mib": memory / 1024}
            yield row, crowd, publish

    async def at_rate(self, web: Web, crowd: Crowd, publish: Publish, rate: int, seconds: float) -> Row:
        """W2."""
        await web.settled()
        meter = Meter(web, self.site.postgresql)
        sent = await publish({"rate": rate, "seconds": seconds})
        receipts = await crowd.collect(count := sent["published"], SILENCE)
        used, committed = meter.per(count), dict(sent["committed"])
        first = {(stamp, subscriber): at for stamp, subscriber, at in reversed(receipts)}
        from_commit = quantiles_ms([(at - committed.get(stamp, stamp)) / 1e9 for (stamp, _), at in first.items()])
        return {
            "work": "w2",
            "rate": rate,
            "published": count,
            "published_per_second": count / sent["seconds"],
            "lost": count - len(first),
            "twice": len(receipts) - len(first),
            "p99_ms_from_commit": from_commit["p99_ms"],
            **quantiles_ms([(at - stamp) / 1e9 for (stamp, _), at in first.items()]),
            **used,
        }

    async def broadcast(self, web: Web, crowd: Crowd, publish: Publish, count: int) -> Row:
        """W3."""
        await web.settled()
        meter = Meter(web, self.site.postgresql)
        committed = dict((await publish("everybody"))["committed"])
        receipts = await crowd.collect(count, SILENCE)
        [stamp] = {stamp for stamp, *_ in receipts}
        reached, last = {subscriber for _, subscriber, _ in receipts}, max(at for *_, at in receipts)
        return {
            "work": "w3",
            "sockets": count,
            "lost": count - len(reached),
            "twice": len(receipts) - len(reached),
            "last_ms": (last - stamp) / 1e6,
            "last_ms_from_commit": (last - committed.get(stamp, stamp)) / 1e6,
            **meter.per(count),
        }

    # -------------------------------------------------------------------------------------------------------- growth

    async def growth(self, scale: Scale) -> AsyncIterator[Row]:
        """This site small, and with ten times the users, notifications of each, and sockets, under the same load.

        It is of the size for all the rest then.
        """
        few = scale.askers
        for times in (1, 10):
            await self.grow(few * times, times)
            async for row in self.queries(SITE, scale):
                del row["answer"]
                yield {"times": times, **row}
            async with self.serving(SITE) as web, self.crowd(web, few * times, few) as (row, crowd, publish):
                yield {"times": times, **row}
                row = await self.at_rate(web, crowd, publish, scale.rates[0], scale.seconds)
                yield {"times": times, **row}

    # ------------------------------------------------------------------------------------------------------- writing

    async def writing(self, crowd: int) -> AsyncIterator[Row]:
        """`notify` to a crowd: first to users who have no inbox yet, then to the same."""
        await self.site.postgresql.ask(
            "INSERT INTO users_user (email, password, is_superuser, is_staff, is_active, date_joined)"
            f" SELECT 'crowd' || number || '@example.com', '', false, false, true, now()"
            f" FROM generate_series(1, {crowd}) AS number"
        )
        await self.site.postgresql.ask("VACUUM ANALYZE")
        for key in ("without inboxes", "with inboxes"):
            done = json.loads(await self.site.python("-m", "tests.delivery.broadcast", key, seconds=120))
            yield {
                "work": "notify",
                "recipients": key,
                "rows": done["notified"],
                "per_second": done["notified"] / done["seconds"],
                "memory_mib": done["memory"] / 2**20,
            }


def at_best(steps: list[Row]) -> Row:
    """The highest rate without loss and in time, of those that were really published: 0 where none was."""
    names = {"per_second": "p99_ms", "per_second_from_commit": "p99_ms_from_commit"}
    kept_up = {
        name: max(
            (step["published_per_second"] for step in steps if not step["lost"] and step[p99] < LATE_MS), default=0
        )
        for name, p99 in names.items()
    }
    return {"work": "w2 at best", **kept_up}


def leaves(data: Any) -> Iterator[Any]:
    """All values in it, in order; but no ids."""
    if isinstance(data, dict):
        for key, value in data.items():
            if key != "id":
                yield from leaves(value)
    elif isinstance(data, list):
        for value in data:
            yield from leaves(value)
    else:
        yield data
