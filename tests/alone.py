"""A test marked `alone` has the machine to itself: it measures time, and what others do would be measured too.

Workers run tests side by side. Each test is in the room with others, one that is `alone` without them; all come in by
the door. Who waits for the others to leave keeps the door shut meanwhile, so that nobody waits for ever.
"""

import fcntl
import os
from collections.abc import Generator
from pathlib import Path

import pytest


class Turns:
    """Of the workers whose processes open this folder."""

    def __init__(self, folder: Path) -> None:
        self.door, self.room = (os.open(folder / name, os.O_CREAT | os.O_RDWR) for name in ("door", "room"))

    def take(self, alone: bool) -> None:
        fcntl.flock(self.door, fcntl.LOCK_EX)
        fcntl.flock(self.room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        if not alone:
            fcntl.flock(self.door, fcntl.LOCK_UN)

    def give_back(self) -> None:
        fcntl.flock(self.room, fcntl.LOCK_UN)
        fcntl.flock(self.door, fcntl.LOCK_UN)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(
        self, item: pytest.Item, nextitem: pytest.Item | None
    ) -> Generator[None, object, object]:
        """Around all of a test, with the fixtures that begin or end with it."""
        self.take(alone=is_alone(item))
        try:
            return (yield)
        finally:
            if not (is_alone(item) and nextitem and is_alone(nextitem)):  # else it would wait for the others again
                self.give_back()

    def pytest_sessionfinish(self) -> None:
        """Which may have come before the next one that is alone."""
        self.give_back()


def is_alone(item: pytest.Item) -> bool:
    return item.get_closest_marker("alone") is not None


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        config.pluginmanager.register(Turns(Path(config.getoption("basetemp")).parent))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """They come first, one after the other: so the others are waited for once."""
    items.sort(key=lambda item: not is_alone(item))
