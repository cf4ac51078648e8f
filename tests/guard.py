"""In every test, what holds up the event loop is an error, if our code is in it: the test's that sees it first."""

import asyncio
import gc
import linecache
import logging
import os
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from traceback import extract_stack, format_list
from types import FrameType

import blockbuster.blockbuster
import pytest
import uvloop
from blockbuster import BlockingError

from config import loop_guard
from config.loop_guard import LoopGuard, Stall

OURS = tuple(str(Path(__file__).parents[1] / folder) for folder in ("apps", "config"))
LOOK_SECONDS = 0.02
TRACEBACK = logging.Formatter.formatException.__code__
FULL_COLLECTION = 50
"""Tests from one to the next, which takes half a second."""

_ended = count(1)

IS_DEBUGGING = bool(os.environ.get("PYTHONASYNCIODEBUG"))
"""asyncio's debug mode, which takes time in each callback."""
SLOW = 0.1
"""Seconds of CPU. Twice what is slow elsewhere: two tests on one core may each take twice as long as alone."""


LOOPS: dict[str, Callable[[], asyncio.AbstractEventLoop]] = {
    "asyncio": asyncio.new_event_loop,
    "uvloop": uvloop.new_event_loop,
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--loop", choices=LOOPS, default="asyncio", help="event loop of the async tests")


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    marker = item.get_closest_marker("loops")
    names = marker.args if marker else [config.option.loop]
    return {name: partial(_watched, LOOPS[name]) for name in names}


def _watched(new_loop: Callable[[], asyncio.AbstractEventLoop]) -> asyncio.AbstractEventLoop:
    loop = new_loop()
    loop_guard.loop_guard().watch(loop)
    return loop


def pytest_configure(config: pytest.Config) -> None:
    if IS_DEBUGGING:
        config.option.asyncio_debug = True  # pytest-asyncio does not listen to the variable
        # asyncio notes a stack for each callback, and would ask the disk each time whether its files are the same.
        linecache.checkcache = lambda filename=None: None


class Faults(list[Stall | str]):
    """Since the last test."""

    def blocked(self, name: str) -> None:
        self.append(f"{name} blocks the event loop:\n{''.join(format_list(extract_stack()[:-3]))}")

    def pop_all(self) -> str:
        # Time passes for many reasons where tests run two by two; CPU is what a callback itself took.
        limit = loop_guard.loop_guard().slow_seconds
        found = [str(fault) for fault in self if isinstance(fault, str) or fault.cpu_seconds > limit]
        self.clear()
        return "\n".join(found)


class TestGuard(LoopGuard):
    """Of a test it sees what is in our code, not what it does itself between two calls of that.

    Nor a traceback on its way to the log: that reads each source file once, all of it.
    """

    def stack(self) -> list[FrameType]:
        frames = super().stack()
        if any(frame.f_code is TRACEBACK for frame in frames):
            return []
        return frames if any(frame.f_code.co_filename.startswith(OURS) for frame in frames) else []


@pytest.fixture(scope="session", autouse=True)
def faults() -> Iterator[Faults]:
    faults = Faults()

    class Blocked(BlockingError):
        """It counts also where somebody catches it."""

        def __init__(self, name: str) -> None:
            super().__init__(name)
            faults.blocked(name)

    blocking, guard = loop_guard.blocking_calls(), TestGuard(faults.append)
    guard.look_seconds = LOOK_SECONDS
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop_guard, "_guard", guard)
        patch.setattr(blockbuster.blockbuster, "BlockingError", Blocked)
        blocking.activate()
        yield faults
        blocking.deactivate()
    guard.stop()


@pytest.fixture(autouse=True)
def _unhindered(request: pytest.FixtureRequest, faults: Faults) -> Iterator[None]:
    """The collector works between the tests: it is pytest's heap that takes it long, not the site's."""
    marker = request.node.get_closest_marker("hostile")
    loop_guard.loop_guard().slow_seconds = max(SLOW, marker.args[0] if marker else 0)
    gc.disable()
    yield
    gc.collect(1 if next(_ended) % FULL_COLLECTION else 2)
    found = faults.pop_all()
    assert not found, found
