"""In every test, what holds up the event loop is an error, if our code is in it: the test's that sees it first."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path
from traceback import extract_stack, format_list

import blockbuster.blockbuster
import pytest
from blockbuster import BlockingError

from config.loop_guard import SLOW_SECONDS, Stall, blocking_calls, loop_guard

OURS = tuple(str(Path(__file__).parents[1] / folder) for folder in ("apps", "config"))


def pytest_configure(config: pytest.Config) -> None:
    """asyncio's debug mode, as everywhere by `PYTHONASYNCIODEBUG=1`, to which pytest-asyncio alone does not listen."""
    if os.environ.get("PYTHONASYNCIODEBUG"):
        config.option.asyncio_debug = True


class Faults(list[Stall | str]):
    """Since the last test."""

    def stalled(self, stall: Stall) -> None:
        if any(frame.filename.startswith(OURS) for frame in stall.stack):
            self.append(stall)

    def blocked(self, name: str) -> None:
        self.append(f"{name} blocks the event loop:\n{''.join(format_list(extract_stack()[:-3]))}")

    def pop_all(self) -> str:
        # Time passes for many reasons where tests run two by two; CPU is what a callback itself took.
        limit = loop_guard().slow_seconds + loop_guard().look_seconds
        found = [str(fault) for fault in self if isinstance(fault, str) or fault.cpu_seconds > limit]
        self.clear()
        return "\n".join(found)


@pytest.fixture(scope="session", autouse=True)
def faults() -> Iterator[Faults]:
    faults = Faults()

    class Blocked(BlockingError):
        """It counts also where somebody catches it."""

        def __init__(self, name: str) -> None:
            super().__init__(name)
            faults.blocked(name)

    blocking = blocking_calls()
    loop_guard().report, loop_guard().look_seconds = faults.stalled, 0.02
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blockbuster.blockbuster, "BlockingError", Blocked)
        blocking.activate()
        yield faults
        blocking.deactivate()


@pytest.fixture(autouse=True)
def _unhindered(request: pytest.FixtureRequest, faults: Faults) -> Iterator[None]:
    """The collector works between the tests: it is pytest's heap that takes it long, not the site's."""
    marker = request.node.get_closest_marker("hostile")
    loop_guard().slow_seconds = marker.args[0] if marker else SLOW_SECONDS
    gc.disable()
    yield
    gc.collect(1)
    found = faults.pop_all()
    assert not found, found
