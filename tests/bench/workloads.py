"""What is measured of a contender, in rows: dictionaries, one for each setting in which it was measured."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from math import nan
from pathlib import Path
from typing import Any, Self

from tests.bench.contenders import Contender, Web, cpu_us, memory_kib
from tests.delivery.site import Site
from tests.processes import ROOT

type Row = dict[str, Any]

NOTIFICATIONS = 20
"""On the page that is asked for."""
TOKEN = "t" * 32
SILENCE = 3
"""Seconds without a receipt, after which what is missing is lost."""
STEADY_RATE = 2_000
"""At which all are compared, whether they keep up or not."""
TOO_LATE_MS = 1_000
"""The p99 at which a server no longer keeps up, and nothing faster is tried."""


@dataclass(frozen=True)
class Scale:
    users: int
    seconds: float
    """Of each load."""
    clients: Sequence[int]
    """Of a query, at a time."""
    rates: Sequence[int]
    """Events a second, to one of `sockets[0]` subscribers each."""
    sockets: tuple[int, int]
    """For events, and for the broadcast and the memory."""
    broadcasts: int
    crowd: int
    """Users that one `notify` is for."""


class Program:
    """A program of ours that answers what it is told, each a line of JSON."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    @asynccontextmanager
    async def running(cls, site: Site, *arguments: str) -> AsyncIterator[Self]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", *arguments), cwd=ROOT, env=site.environment, stdin=PIPE, stdout=PIPE, limit=1 << 28
        )
        try:
            yield cls(process)
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()

    async def ask(self, what: Any, seconds: float = 180) -> Any:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin
        assert stdout
        stdin.write(json.dumps(what).encode() + b"\n")
        async with asyncio.timeout(seconds):
            line = await stdout.readline()
        assert line, "A program of the benchmark ended"
        return json.loads(line)


class Meter:
    """What the server and the database use from now on."""

    def __init__(self, site: Site, web: Web) -> None:
        self._pids = {"cpu_us": web.pid, "postgresql_us": site.postgresql.pid}
        self._before = {name: cpu_us(pid) for name, pid in self._pids.items()}

    def per(self, count: int) -> Row:
        return {name: (cpu_us(pid) - self._before[name]) / count for name, pid in self._pids.items()}


class Bench:
    """A prepared site, and the users who are signed in there."""

    def __init__(self, site: Site, scale: Scale, users: list[Row]) -> None:
        self.site = site
        self.scale = scale
        self.users = users
        self._started = 0

    @asynccontextmanager
    async def serving(self, contender: Contender) -> AsyncIterator[Web]:
        """A new server process of it."""
        self._started += 1
        web = Web(Path(self.site.directory) / f"{contender.name}-{self._started}", contender, self.site.environment)
        try:
            await web.start()
            yield web
        finally:
            if web.runs():
                await web.kill()

    def headers(self, web: Web) -> list[str]:
        """Of each user's requests."""
        key = "plain" if web.contender.application.endswith("plain:application") else "ours"
        own = f"Origin: {web.url}\r\nX-CSRFToken: {TOKEN}"
        return [f"Cookie: sessionid={user[key]}; csrftoken={TOKEN}\r\n{own}" for user in self.users]

    # ------------------------------------------------------------------------------------------------------- queries

    async def queries(self, contender: Contender) -> AsyncIterator[Row]:
        """W1. `answer` is what one user, always the same, got: without ids, which differ by schema."""
        async with self.serving(contender) as web:
            await self._load(web, self.scale.clients[-1], self.scale.seconds / 2, self.users)  # warms up
            for clients in self.scale.clients:
                await web.settled()
                meter = Meter(self.site, web)
                done = await self._load(web, clients, self.scale.seconds, self.users[:1_000])
                used = meter.per(count := len(done["latencies"]))
                yield {
                    "work": "w1",
                    "clients": clients,
                    "queries": count,
                    "per_second": count / done["seconds"],
                    "generator_us": 1e6 * done["cpu"] / count,
                    "answer": list(leaves(await self._answer(web))),
                    **quantiles_ms(done["latencies"]),
                    **used,
                }

    async def _load(self, web: Web, clients: int, seconds: float, users: list[Row]) -> Any:
        plan = {
            "port": web.port,
            "clients": clients,
            "seconds": seconds,
            "body": json.dumps({"query": web.contender.query}),
            "headers": self.headers(web)[: len(users)],
            "expected": [[f'"{user["email"]}"'] for user in users],
            "notifications": NOTIFICATIONS,
        }
        async with Program.running(self.site, "tests.bench.queries") as program:
            done = await program.ask(plan)
        assert not done["wrong"], f"{web.contender.name}: {len(done['wrong'])} wrong answers: {done['wrong'][0]}"
        return done

    async def _answer(self, web: Web) -> Any:
        text = (await self._load(web, 1, 0, self.users[:1]))["answer"]
        return json.loads(text[text.index("{") : text.rindex("}") + 1])["data"]  # it may have come in a chunk

    # -------------------------------------------------------------------------------------------------------- events

    async def events(self, contender: Contender) -> AsyncIterator[Row]:
        """W2 with some subscribers, W3 with more, and of both W4: what it takes to get and to keep them."""
        few, many = self.scale.sockets
        async with self.serving(contender) as web, self._crowd(web, few) as (row, crowd, publisher):
            yield row
            for rate in self.scale.rates:
                row = await self._at_rate(web, crowd, publisher, rate)
                yield row
                if rate >= STEADY_RATE and (row["lost"] or row["p99_ms"] > TOO_LATE_MS):
                    break
        async with self.serving(contender) as web, self._crowd(web, many) as (row, crowd, publisher):
            yield row
            for _ in range(self.scale.broadcasts):
                yield await self._broadcast(web, crowd, publisher, many)

    @asynccontextmanager
    async def _crowd(self, web: Web, count: int) -> AsyncIterator[tuple[Row, Program, Program]]:
        plan = {
            "port": web.port,
            "payload": {"query": web.contender.subscription},
            "headers": self.headers(web),
            "greets": web.contender.greets,
        }
        users = [user["pk"] for user in self.users[:count]]
        async with (
            Program.running(self.site, "tests.bench.subscribers") as crowd,
            Program.running(self.site, "tests.bench.publisher", web.contender.publisher) as publisher,
        ):
            await asyncio.gather(crowd.ask(plan), publisher.ask(users))
            warm = await crowd.ask({"open": min(20, count // 2)})
            await publisher.ask({"rate": 20, "seconds": 0.5})
            await web.settled()
            await crowd.ask({"collect": 0, "patience": 0})
            memory, meter = memory_kib(web.pid), Meter(self.site, web)
            opened = await crowd.ask({"open": count})
            assert not opened["failures"], f"{web.contender.name}: {opened['failures'][:3]}"
            used = meter.per(new := opened["live"] - warm["live"])
            await web.settled()
            row = {
                "work": "w4",
                "sockets": count,
                "per_second": new / opened["seconds"],
                "kib": (memory_kib(web.pid) - memory) / new,
                "fresh_mib": memory / 1024,
                "generator_us": 1e6 * opened["cpu"] / new,
            }
            yield row | used, crowd, publisher

    async def _at_rate(self, web: Web, crowd: Program, publisher: Program, rate: int) -> Row:
        await web.settled()
        meter = Meter(self.site, web)
        sent = await publisher.ask({"rate": rate, "seconds": self.scale.seconds})
        got = await crowd.ask({"collect": sent["published"], "patience": SILENCE})
        used = meter.per(sent["published"])
        committed = dict(sent["committed"])
        first = {(stamp, number): at for stamp, number, at in reversed(got["receipts"])}
        from_commit = quantiles_ms([(at - committed.get(stamp, stamp)) / 1e9 for (stamp, _), at in first.items()])
        return {
            "work": "w2",
            "rate": rate,
            "published": sent["published"],
            "published_per_second": sent["published"] / sent["seconds"],
            "lost": sent["published"] - len(first),
            "twice": len(got["receipts"]) - len(first),
            "p99_ms_from_commit": from_commit["p99_ms"],
            **quantiles_ms([(at - stamp) / 1e9 for (stamp, _), at in first.items()]),
            **used,
        }

    async def _broadcast(self, web: Web, crowd: Program, publisher: Program, count: int) -> Row:
        await web.settled()
        meter = Meter(self.site, web)
        sent = await publisher.ask("everybody")
        receipts = (await crowd.ask({"collect": count, "patience": SILENCE}))["receipts"]
        used = meter.per(count)
        [stamp] = {stamp for stamp, *_ in receipts}
        reached, last = {number for _, number, _ in receipts}, max(at for *_, at in receipts)
        return {
            "work": "w3",
            "sockets": count,
            "lost": count - len(reached),
            "twice": len(receipts) - len(reached),
            "last_ms": (last - stamp) / 1e6,
            "last_ms_from_commit": (last - dict(sent["committed"]).get(stamp, stamp)) / 1e6,
            **used,
        }

    # ------------------------------------------------------------------------------------------------------- writing

    async def writing(self) -> AsyncIterator[Row]:
        """`notify` to a crowd: first to users who have no inbox yet, then to the same."""
        await self.site.postgresql.ask(
            "INSERT INTO users_user (email, password, is_superuser, is_staff, is_active, date_joined)"
            f" SELECT 'crowd' || number || '@example.com', '', false, false, true, now()"
            f" FROM generate_series(1, {self.scale.crowd}) AS number"
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


def quantiles_ms(seconds: Sequence[float]) -> Row:
    ordered = sorted(seconds) or [nan]
    return {f"p{share}_ms": 1e3 * ordered[len(ordered) * share // 100] for share in (50, 99)}


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
