"""Whatever breaks, nothing is lost, doubled, reordered, leaked or invented. Each test makes sure that it did break."""

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from itertools import permutations

import httpx
import pytest

from tests.delivery.clients import ABNORMAL, StoppedReader
from tests.delivery.conftest import Begin, Note
from tests.delivery.proxy import Connection, Proxy
from tests.delivery.publisher import Plan
from tests.delivery.services import until
from tests.delivery.site import POLL_SECONDS, Site, websocket_url
from tests.delivery.trial import Scale

pytestmark = [pytest.mark.faults, pytest.mark.asyncio(loop_scope="session")]

MANY = 50
"""Of the two hundred followers: where fewer are hit, it was no fault to speak of."""
POLLED = POLL_SECONDS + 1
"""Seconds from the commit to the arrival of what no wake-up announced."""
SLACK = 0.5
SHUTDOWN_SECONDS = 10
STOPPED_READERS = 3
DROP_SECONDS = 45
MEMORY = 64 * 2**20
INTERNAL_ERROR = 1011


async def test_it_works(trial: Begin) -> None:
    async with trial("none") as run:
        await run.traffic()
    p99 = run.verdict.p99
    assert p99 < 1


# --------------------------------------------------------------------------------------------------------- Redis


async def test_redis_restarted(trial: Begin, site: Site) -> None:
    async with trial("Redis restarted") as run:
        before = await site.redis.ask("INFO", "server")
        await site.redis.restart()
        after = await site.redis.ask("INFO", "server")
        await run.traffic()
    assert before["run_id"] != after["run_id"]


async def test_redis_down(trial: Begin, site: Site, scale: Scale) -> None:
    async with trial(f"Redis down for {scale.down:g} s") as run:
        since = time.monotonic()
        await site.redis.stop()
        run.drop_some()
        await asyncio.sleep(scale.down)
        assert not await site.redis.answers()
        assert run.commits(since, time.monotonic()) > 10
        await site.redis.start()
        await run.traffic()
    p99 = run.verdict.p99
    assert p99 < POLLED + SLACK


async def test_redis_flushed(trial: Begin, site: Site) -> None:
    async with trial("Redis: FLUSHALL") as run:
        await site.redis.ask("SET", "canary", "alive")
        await site.redis.ask("FLUSHALL")
        assert not await site.redis.ask("EXISTS", "canary")
        await run.traffic()


async def test_redis_paused(trial: Begin, site: Site, scale: Scale) -> None:
    async with trial(f"Redis paused for {scale.paused:g} s") as run:
        since = time.monotonic()
        site.redis.pause()
        run.drop_some()
        await asyncio.sleep(scale.paused)
        assert not await site.redis.answers()
        assert run.commits(since, time.monotonic()) > 10
        site.redis.resume()
        await run.traffic()
    p99 = run.verdict.p99
    assert p99 < POLLED + SLACK


async def test_redis_clients_killed(trial: Begin, site: Site) -> None:
    async with trial("Redis: CLIENT KILL of all") as run:
        killed = {kind: await site.redis.ask("CLIENT", "KILL", "TYPE", kind) for kind in ("normal", "pubsub")}
        await run.traffic()
    assert killed["normal"] >= 1
    assert killed["pubsub"] >= len(site.webs)


# ---------------------------------------------------------------------------------------------------- PostgreSQL


async def write_has_begun(site: Site) -> bool:
    """A moment ago: it goes on for longer than that."""
    return bool(
        await site.postgresql.ask(
            "SELECT 1 FROM pg_stat_activity WHERE state = 'idle in transaction'"
            " AND clock_timestamp() - xact_start < interval '20 milliseconds'"
        )
    )


async def test_postgresql_restarted(trial: Begin, site: Site) -> None:
    # Every write is a transaction that takes its time, and some are broken off.
    async with trial("PostgreSQL restarted", writes_fail=True, ways={"sleeping": 1}) as run:
        [before] = await site.postgresql.ask("SELECT pg_postmaster_start_time()")
        run.drop_some()
        await until(lambda: write_has_begun(site), "a write is under way", every=0)
        await site.postgresql.restart()
        [after] = await site.postgresql.ask("SELECT pg_postmaster_start_time()")
        await run.traffic()
    assert before != after


# --------------------------------------------------------------------------------------------------- web processes


async def test_web_process_terminated(trial: Begin, site: Site, note: Note) -> None:
    web = site.webs[0]
    statuses = set()
    async with trial("web process SIGTERMed") as run:
        since = time.monotonic()
        stopping = asyncio.create_task(web.stop(SHUTDOWN_SECONDS))
        while not stopping.done():
            statuses.add(await web.ready())
            await asyncio.sleep(0.1)
        await stopping
        took = time.monotonic() - since
        closes = run.closes(since)
        await web.start()
        await run.traffic()
    note(f"SIGTERM: the web process ended in {took:.1f} s, its sockets with {dict(closes)}")
    assert closes.total() >= MANY
    assert not closes.keys() & {ABNORMAL, INTERNAL_ERROR}, closes
    assert httpx.codes.SERVICE_UNAVAILABLE in statuses, statuses


async def test_web_process_killed(trial: Begin, site: Site) -> None:
    web = site.webs[1]
    async with trial("web process SIGKILLed") as run:
        since = time.monotonic()
        await web.kill()
        await until(lambda: run.closes(since)[ABNORMAL] >= MANY, "its followers notice")
        await web.start()
        await run.traffic()


# --------------------------------------------------------------------------------------------------------- network


@pytest.mark.parametrize("cut", [Connection.reset, Connection.silence], ids=lambda cut: cut.__name__)
async def test_network_cut(trial: Begin, site: Site, cut: Callable[[Connection], None]) -> None:
    async with AsyncExitStack() as stack:
        proxies = [await stack.enter_async_context(Proxy(web.port)) for web in site.webs]
        urls = [websocket_url(proxy.port) for proxy in proxies]
        async with trial(f"30 % of connections cut: {cut.__name__}", urls=urls) as run:
            since = time.monotonic()
            chosen = [connection for proxy in proxies for connection in proxy.pick(0.3)]
            for connection in chosen:
                cut(connection)
            await until(lambda: run.closes(since)[ABNORMAL] >= len(chosen), "followers notice")
            await run.traffic()
    assert len(chosen) >= MANY


async def test_readers_that_stop(trial: Begin, site: Site, note: Note) -> None:
    user = next(iter(site.users))
    async with trial(f"{STOPPED_READERS} readers that stop") as run:
        baseline = [web.memory for web in site.webs]
        measured = [baseline]

        def all_dropped() -> bool:
            measured.append([web.memory for web in site.webs])
            return all(reader.dropped_at for reader in stopped)

        stopped = [run.follow(StoppedReader, user, 0) for _ in range(STOPPED_READERS)]
        rain = run.publish(Plan("rain", [user], rate=4, together=10, body=5000, ways={"atomic": 1}))
        await until(lambda: rain.commits() > 0, "it rains")
        since = time.monotonic()
        await until(all_dropped, "the server gives up on who does not read", seconds=DROP_SECONDS)
        dropped = time.monotonic()
        await rain.stop()
        await run.traffic()
    measured.append([web.memory for web in site.webs])  # they have caught up
    grown = max(max(memory) - memory[0] for memory in zip(*measured, strict=True))
    others_p99 = run.judge((each for each in run.followers if each.user != user), before=dropped).p99
    note(
        f"readers that stop: dropped after {dropped - since:.0f} s at most, other users' p99 {others_p99:.2f} s,"
        f" web processes grew by {grown / 2**20:.0f} MiB at most"
    )
    assert grown <= MEMORY
    assert others_p99 < 1


# ---------------------------------------------------------------------------------------------------- transactions


async def test_a_thousand_in_a_second(trial: Begin, site: Site) -> None:
    """By one commit, so that all are there in the same moment."""
    user = next(iter(site.users))
    async with trial("1,000 to one user in a second") as run:
        burst = run.publish(Plan("burst", [user], writes=1, together=1000, ways={"atomic": 1}))
        await until(lambda: burst.commits() == 1000, "the burst is committed", seconds=60)
        await run.traffic()


async def test_commits_in_another_order_than_beginnings(trial: Begin, site: Site) -> None:
    """Where the later one wants no number of the earlier one it overtakes; where it does, it waits, and comes after."""
    ways = {"plain": 2, "sleeping": 1, "late": 1}
    async with trial("commits in another order than beginnings", users=list(site.users)[:10], ways=ways) as run:
        await run.traffic()
    batches = {each["batch"]: each for each in run.events() if each["event"] == "begin"}
    spans = [
        (set(begin["recipients"]), begin["at"], end["at"])
        for end in run.events()
        if end["event"] == "committed" and (begin := batches[end["batch"]])
    ]
    met = [
        later_commit - commit
        for (recipients, begin, commit), (others, later_begin, later_commit) in permutations(spans, 2)
        if recipients & others and begin < later_begin < commit
    ]
    assert min(met) < 0 < max(met)


async def test_rollback(trial: Begin) -> None:
    async with trial("every second write rolled back", ways={"plain": 1, "rolled back": 1}) as run:
        await run.traffic()
    assert sum(each["event"] == "rolled back" for each in run.events()) > 10
