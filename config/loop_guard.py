"""What holds up the event loop holds up everybody. Here it is noticed, and told with the stack of who does it.

A call that waits, for a file, a socket or a picture, is an error in development and in the tests. A callback that takes
over 50 ms, for whatever reason, is logged: in development as an error, in production as a warning. How many there have
been, `/health/ready/` says.
"""

import asyncio
import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING

from django.conf import settings

if TYPE_CHECKING:
    from blockbuster import BlockBuster

logger = logging.getLogger(__name__)

SLOW_SECONDS = 0.05
LOOK_SECONDS = 0.05
"""Between two looks, so nothing over 100 ms is missed; in development and in the tests less than half of that."""
CALLBACK = asyncio.Handle._run.__code__
"""Its frame is below all that an event loop calls."""
PICTURES = [f"PIL.Image.Image.{method}" for method in ("convert", "resize", "save")] + ["PIL.ImageFile.ImageFile.load"]


@dataclass
class Stall:
    """It is reported as soon as it is one. Its seconds go on until the callback ends, and a look longer at the most."""

    seconds: float
    cpu_seconds: float
    """Fewer where the callback waited: for something, or for its turn."""
    stack: list[traceback.FrameSummary]

    def __str__(self) -> str:
        took = f"{self.seconds * 1_000:.0f} ms ({self.cpu_seconds * 1_000:.0f} ms of CPU)"
        return f"The event loop is held up, for {took} so far:\n{''.join(traceback.format_list(self.stack))}"


def log(stall: Stall) -> None:
    logger.log(logging.ERROR if settings.DEBUG else logging.WARNING, "%s", stall)


@dataclass
class _Running:
    callback: FrameType
    since: float
    """When it was first seen."""
    cpu_before: float
    """What its thread had used when that was last seen at something else."""
    stall: Stall | None = None


class LoopGuard(threading.Thread):
    """Looks now and then at what the event loop of another thread is doing, and takes no part in it.

    So it sees the stack of a callback that still runs; also of one that keeps the interpreter to itself (in a regular
    expression, or in `json.loads`), as the first thing that happens after such a call is that this thread has its turn.
    """

    def __init__(self, watched: threading.Thread, report: Callable[[Stall], None] = log) -> None:
        super().__init__(name="loop-guard", daemon=True)
        self.report = report
        self.slow_seconds = SLOW_SECONDS
        self.look_seconds = 0.02 if settings.DEBUG else LOOK_SECONDS
        self.stalls = 0
        self.longest_seconds = 0.0
        self._watched = watched
        self._cpu_before = self._cpu()
        self._running: _Running | None = None
        self._stopped = threading.Event()

    def stop(self) -> None:
        self._stopped.set()
        self.join()

    def run(self) -> None:
        while not self._stopped.wait(self.look_seconds) and self._watched.is_alive():
            self._look()

    def _look(self) -> None:
        stack = self.stack()
        now, cpu = time.monotonic(), self._cpu()
        running = self._running
        if running and (not stack or running.callback is not stack[-1]):
            used = cpu - running.cpu_before
            self._goes_on(running, min(now - running.since, used), used)  # until when, only what it used can tell
            running = None
        if stack:
            running = running or _Running(stack[-1], now, self._cpu_before)
            used = cpu - running.cpu_before
            seconds = max(now - running.since, used)
            if seconds > self.slow_seconds and not running.stall:
                self.stalls += 1
                running.stall = Stall(seconds, used, traceback.extract_stack(stack[0], limit=len(stack)))
                self.report(running.stall)
            self._goes_on(running, seconds, used)
        self._running, self._cpu_before = running, cpu

    def stack(self) -> list[FrameType]:
        """Of the callback that is running, from the innermost frame to the callback's own; empty where none is."""
        frames = []
        frame = sys._current_frames().get(self._watched.ident or 0)
        while frame:
            frames.append(frame)
            if frame.f_code is CALLBACK:
                return frames
            frame = frame.f_back
        return []

    def _goes_on(self, running: _Running, seconds: float, cpu_seconds: float) -> None:
        if stall := running.stall:
            stall.seconds, stall.cpu_seconds = max(stall.seconds, seconds), max(stall.cpu_seconds, cpu_seconds)
            self.longest_seconds = max(self.longest_seconds, seconds)

    def _cpu(self) -> float:
        """Seconds that the watched thread has used. Always 0 on macOS, which does not tell; there only time counts."""
        clock_of = getattr(time, "pthread_getcpuclockid", None)
        return time.clock_gettime(clock_of(self._watched.ident)) if clock_of else 0.0


_guard: LoopGuard | None = None


def loop_guard() -> LoopGuard:
    """The one of this process. The first call comes from the thread that it is to watch; the others are free."""
    global _guard
    if _guard is None:
        _guard = LoopGuard(threading.current_thread())
        _guard.start()
    return _guard


def figures() -> dict[str, int]:
    """Of the loop that is watched; none behind WSGI."""
    if _guard is None:
        return {}
    return {"stalls": _guard.stalls, "longest_ms": round(_guard.longest_seconds * 1_000)}


def blocking_calls() -> "BlockBuster":
    """Those that `activate()` makes an error where a loop runs and our code is on the stack; not yet in force.

    (An SQL statement is one without this: Django's `SynchronousOnlyOperation`.)
    """
    from blockbuster import BlockBuster, BlockBusterFunction  # which production does not import

    ours = ["apps", "config"]
    blocking = BlockBuster(ours)
    for name in ["io.open", "builtins.open", "socket.getaddrinfo", *PICTURES]:
        blocking.functions[name] = BlockBusterFunction(None, name, scanned_modules=ours)
    for call in blocking.functions.values():
        call.can_block_in("logging/__init__.py", {"emit"})  # a line to the console, or where one has it written
        call.can_block_in("linecache.py", {"updatecache"})  # a traceback
        call.can_block_in("<frozen importlib._bootstrap>", {"_find_and_load"})  # an import, once
    return blocking
