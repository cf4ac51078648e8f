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
from contextlib import suppress
from dataclasses import dataclass
from types import CodeType, FrameType
from typing import TYPE_CHECKING

from django.conf import settings

if TYPE_CHECKING:
    from blockbuster import BlockBuster

logger = logging.getLogger(__name__)

SLOW_SECONDS = 0.05
LOOK_SECONDS = 0.05
"""Between two looks, so nothing over 100 ms is missed; in development and in the tests less than half of that."""
TICK_SECONDS = 0.02
"""Between two signs of life of a loop that is at work."""
PICTURES = [f"PIL.Image.Image.{method}" for method in ("convert", "resize", "save")] + ["PIL.ImageFile.ImageFile.load"]


@dataclass
class Stall:
    """It is reported as soon as it is one. Its seconds begin when the callback is first seen, up to a look late, and go
    on until it ends, and a look longer at the most.
    """

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
    """A callback, or one step of a task."""

    frame: FrameType | None
    since: float
    """When it was first seen."""
    cpu_before: float
    until: float | None = None
    """When the loop has turned since."""
    stall: Stall | None = None


class LoopGuard(threading.Thread):
    """Looks now and then at what the event loop of another thread is doing.

    So it sees the stack of a callback that still runs; also of one that keeps the interpreter to itself (in a regular
    expression, or in `json.loads`), as the first thing that happens after such a call is that this thread has its turn.

    The outermost frame that a loop has called is the same at two looks if it is the same callback; or two steps of a
    task, whose coroutine has one frame for all of them. Therefore the loop is given something to call as soon as a
    frame is first seen. A loop takes turns: what it is given during a step comes before the task's next one.
    """

    def __init__(self, report: Callable[[Stall], None] = log) -> None:
        super().__init__(name="loop-guard", daemon=True)
        self.report = report
        self.slow_seconds = SLOW_SECONDS
        self.look_seconds = 0.02 if settings.DEBUG else LOOK_SECONDS
        self.stalls = 0
        self.longest_seconds = 0.0
        self._running: _Running | None = None
        self._stopped = threading.Event()

    def watch(self, loop: asyncio.AbstractEventLoop) -> None:
        """From now on this one, which is to run in the thread that calls this."""
        self._loop, self._watched = loop, threading.current_thread()
        self._runner: CodeType | None = None
        self._ticked, self._ticking = 0.0, False
        self._note()
        loop.call_soon(self._learn)
        if not self.is_alive():
            self.start()

    def _learn(self) -> None:
        """On whose frame those of callbacks stand: asyncio's handle; or whatever runs the loop, if that is all in C."""
        self._runner = sys._getframe(1).f_code

    def _turned(self, running: _Running) -> None:
        """The loop calls this after what was running, and before the next step of the same task.

        In its thread, where all that the frame refers to belongs.
        """
        running.frame, running.until = None, time.monotonic()
        if not self._ticking:
            self._tick()

    def _tick(self) -> None:
        """And this now and then, for as long as looks find it at work."""
        self._ticked, self._ticking = time.monotonic(), self._running is not None
        if self._ticking:
            self._loop.call_later(TICK_SECONDS, self._tick)

    def stop(self) -> None:
        self._stopped.set()
        if self.is_alive():
            self.join()

    def run(self) -> None:
        while not self._stopped.wait(self.look_seconds) and self._watched.is_alive():
            self._look()

    def _look(self) -> None:
        stack = self.stack()
        now, cpu = time.monotonic(), self._cpu()
        running = self._running
        if running and (running.until or not stack or running.frame is not stack[-1]):
            until = min(running.until or now, self._looked + self.look_seconds)
            self._goes_on(running, until - running.since, cpu - running.cpu_before)
            running = None
        if stack and not running:
            running = self._first_seen(stack[-1], now, cpu)
        if stack and running:
            seconds, used = now - running.since, cpu - running.cpu_before
            if seconds > self.slow_seconds and not running.stall:
                self.stalls += 1
                running.stall = Stall(seconds, used, traceback.extract_stack(stack[0], limit=len(stack)))
                self.report(running.stall)
            self._goes_on(running, seconds, used)
        self._running = running
        self._note()

    def _note(self) -> None:
        self._looked, self._cpu_before = time.monotonic(), self._cpu()

    def _first_seen(self, frame: FrameType, now: float, cpu: float) -> _Running:
        # A late look may be so because of this callback, which kept the interpreter: for as long as the loop's thread
        # was certainly at work, without a sign of life. (Or else because the machine has too much to do.)
        late = now - self._looked - self.look_seconds
        kept = max(0.0, min(late, cpu - self._cpu_before - self.look_seconds, now - self._ticked))
        running = _Running(frame, now - kept, cpu - kept)
        with suppress(RuntimeError):  # the loop was closed
            self._loop.call_soon_threadsafe(self._turned, running)
        # What has gone by meanwhile may have been the end of one step and the beginning of the next.
        gap = time.monotonic() - now
        running.since += gap
        running.cpu_before += gap
        return running

    def stack(self) -> list[FrameType]:
        """Of the callback that is running, from the innermost frame to the callback's own; empty where none is.

        Nor can it be seen of one that is all in C, which has no frame.
        """
        frames = []
        frame = sys._current_frames().get(self._watched.ident or 0) if self._loop.is_running() else None
        while frame and frame.f_code is not self._runner:
            frames.append(frame)
            frame = frame.f_back
        return frames if frame else []

    def _goes_on(self, running: _Running, seconds: float, cpu_seconds: float) -> None:
        if stall := running.stall:
            stall.seconds = max(stall.seconds, seconds)
            stall.cpu_seconds = min(max(stall.cpu_seconds, cpu_seconds), stall.seconds)
            self.longest_seconds = max(self.longest_seconds, stall.seconds)

    def _cpu(self) -> float:
        """Seconds that the watched thread has used. Always 0 on macOS, which does not tell; there only time counts."""
        clock_of = getattr(time, "pthread_getcpuclockid", None)
        return time.clock_gettime(clock_of(self._watched.ident)) if clock_of else 0.0


_guard: LoopGuard | None = None


def loop_guard() -> LoopGuard:
    """The one of this process. The first call comes from the loop that it is to watch; the others are free."""
    global _guard
    if _guard is None:
        _guard = LoopGuard()
        _guard.watch(asyncio.get_running_loop())
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
