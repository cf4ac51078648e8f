"""One `notify` to everybody: killed in the middle and run again with its key, each has it once; in bounded memory."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.delivery.conftest import Note
from tests.delivery.services import until
from tests.delivery.site import Site
from tests.delivery.trial import Scale
from tests.processes import ROOT

pytestmark = [pytest.mark.faults, pytest.mark.asyncio(loop_scope="session")]

BATCH = 1_000
MEMORY = 200 * 2**20
STATEMENTS = 10
"""For each batch, at the most; in the worst case, which is this: nobody has an inbox yet."""


@pytest_asyncio.fixture(loop_scope="session")
async def everybody(site: Site, scale: Scale) -> AsyncIterator[int]:
    """How many users there are now."""
    await site.postgresql.ask(
        "INSERT INTO users_user (email, password, is_superuser, is_staff, is_active, date_joined)"
        f" SELECT 'crowd' || number || '@example.com', '', false, false, true, now()"
        f" FROM generate_series(1, {scale.crowd}) AS number"
    )
    await site.postgresql.ask("VACUUM ANALYZE")
    yield scale.crowd + len(site.users)
    await site.reset()
    await site.postgresql.ask(
        "DELETE FROM notifications_inbox USING users_user WHERE user_id = id AND email ~ '^crowd'"
    )
    await site.postgresql.ask("DELETE FROM users_user WHERE email ~ '^crowd'")


async def broadcast(site: Site, key: str) -> Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.delivery.broadcast", key), cwd=ROOT, env=site.environment, stdout=PIPE
    )


async def figures_of(process: Process) -> dict[str, float]:
    async with asyncio.timeout(300):
        printed, _ = await process.communicate()
    assert process.returncode == 0
    return json.loads(printed)


async def received(site: Site, key: str) -> int:
    """How many have it. Nobody has it twice: that would be an error here."""
    [row] = await site.postgresql.ask(
        f"SELECT count(*), count(DISTINCT recipient_id) AS users FROM notifications_notification WHERE key = '{key}'"
    )
    assert row["count"] == row["users"]
    return int(row["count"])


async def test_it_works(site: Site, everybody: int, note: Note) -> None:
    figures = await figures_of(await broadcast(site, "whole"))
    assert figures["notified"] == everybody == await received(site, "whole")
    batches = everybody / BATCH
    note(
        f"{everybody} recipients of one notify: {figures['seconds']:.1f} s, {figures['memory'] / 2**20:.0f} MiB,"
        f" {figures['statements'] / batches:.1f} statements for each 1,000"
    )
    assert figures["statements"] < STATEMENTS * (batches + 1)
    assert figures["memory"] < MEMORY


async def test_killed_in_the_middle_and_run_again_with_its_key(site: Site, everybody: int) -> None:
    process = await broadcast(site, "torn")

    async def halfway() -> bool:
        return await received(site, "torn") > everybody / 3

    try:
        await until(halfway, "a third has it", seconds=120)
    finally:
        process.kill()
        await process.wait()
    reached = await received(site, "torn")
    assert reached % BATCH == 0
    assert reached < everybody

    figures = await figures_of(await broadcast(site, "torn"))

    assert figures["notified"] == everybody - reached
    assert await received(site, "torn") == everybody
    inboxes = await site.inboxes()
    assert all(inbox == {"sequence": inbox["unread"], "unread": inbox["sequence"]} for inbox in inboxes.values())
