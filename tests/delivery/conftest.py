"""Faults are injected into a site of their own: with `--long` for longer, three times each, and with more traffic."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio

from tests.delivery.site import Site, serving
from tests.delivery.trial import LONG, SHORT, Scale, Trial, running

ROUNDS = 3
TRIAL_SECONDS = 900
"""Each wait has a deadline of its own; this is for what nobody thought of."""

type Begin = Callable[..., AbstractAsyncContextManager[Trial]]
type Note = Callable[[str], None]

table = pytest.StashKey[list[tuple[str, ...]]]()
notes = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--long", action="store_true", help="longer faults, three times each, and with more traffic")


def is_long(config: pytest.Config) -> bool:
    return config.getoption("--long", default=False)  # where this folder was not asked for, it is no option


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if is_long(metafunc.config) and "trial" in metafunc.fixturenames:
        metafunc.fixturenames.append("round")
        metafunc.parametrize("round", range(1, ROUNDS + 1))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if rows := config.stash.get(table, []):
        heading = ("fault", "committed", "live", "by replay", "faults", "p99 s", "last s", "took s")
        terminalreporter.section("delivery under faults")
        for fault, *figures in [heading, *rows]:
            terminalreporter.write_line(f"{fault:44}" + "".join(f"{figure:>10}" for figure in figures))
    for line in config.stash.get(notes, []):
        terminalreporter.write_line(line)


@pytest.fixture
def media() -> None:
    """The site's own process is not what is tested here."""


@pytest.fixture
def _fresh_cache() -> None:
    """As `media`."""


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def site() -> AsyncIterator[Site]:
    async with serving() as site:
        yield site


@pytest.fixture
def scale(pytestconfig: pytest.Config) -> Scale:
    return LONG if is_long(pytestconfig) else SHORT


@pytest.fixture
def note(pytestconfig: pytest.Config) -> Note:
    """`note("…")` is read at the end of the run."""
    return pytestconfig.stash.setdefault(notes, []).append


@pytest.fixture
def trial(site: Site, scale: Scale, pytestconfig: pytest.Config) -> Begin:
    """`async with trial("what is wrong") as run:` does the damage; what follows it knows `run.verdict`.

    `writes_fail`: some of the publishers' have to, and in any other trial none may.
    """

    @asynccontextmanager
    async def begin(fault: str, *, writes_fail: bool = False, **options: Any) -> AsyncIterator[Trial]:
        began = time.monotonic()
        async with asyncio.timeout(TRIAL_SECONDS), running(site, scale, **options) as run:
            yield run
        verdict = run.verdict
        counts = [verdict.committed, verdict.delivered_live, verdict.delivered_by_replay, len(verdict.faults)]
        seconds = [f"{each:.2f}" for each in (verdict.p99, verdict.last, time.monotonic() - began)]
        pytestconfig.stash.setdefault(table, []).append((fault, *map(str, counts), *seconds))
        failed = [each for each in run.events() if each["event"] == "unknown"]
        assert bool(failed) == writes_fail, f"{len(failed)} writes failed"
        assert verdict.committed, "nothing was committed"
        assert not verdict.faults, "\n".join([f"{len(verdict.faults)} faults", *verdict.faults[:20]])

    return begin
