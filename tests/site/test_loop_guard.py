"""Whoever holds up the event loop is caught in the act."""

import asyncio
import gc
import io
import os
import re
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from functools import cache
from io import BytesIO
from pathlib import Path
from weakref import ref

import httpx
import pytest
from PIL import Image

from apps.notifications import services
from apps.users.models import User
from config.loop_guard import SLOW_SECONDS, TICK_SECONDS, LoopGuard, Stall
from tests.conftest import ApiFor
from tests.guard import Faults
from tests.pictures import encode, quadrants
from tests.servers.conftest import Served

PICTURE = encode(quadrants(64, 64), "PNG")
HERE = Path(__file__)
NOWHERE = ("127.0.0.1", 1)

pytestmark = pytest.mark.loops("asyncio", "uvloop")


def read() -> object:
    with io.BufferedReader(io.FileIO(HERE)) as file:
        return file.read()


def send() -> object:
    one, other = socket.socketpair()
    with one, other:
        return one.send(b"x")


def connect() -> None:
    with socket.socket() as client:
        client.connect(NOWHERE)


BLOCKING: dict[str, Callable[[], object]] = {
    "time.sleep": lambda: time.sleep(0),
    "io.open": lambda: HERE.read_bytes(),
    "io.BufferedReader.read": read,
    "os.listdir": lambda: os.listdir(HERE.parent),
    "os.stat": lambda: HERE.stat(),
    "socket.getaddrinfo": lambda: socket.getaddrinfo("localhost", 80),
    "socket.socket.connect": connect,
    "socket.socket.send": send,
    "PIL.ImageFile.ImageFile.load": lambda: Image.open(BytesIO(PICTURE)).load(),
    "PIL.Image.Image.resize": lambda: Image.new("L", (8, 8)).resize((4, 4)),
}


def plant(monkeypatch: pytest.MonkeyPatch, fault: Callable[[], object]) -> None:
    """What the resolver of `unreadCount` awaits does this first, on the loop."""
    count = services.aunread_count

    async def faulty_count(user: User) -> int:
        fault()
        return await count(user)

    monkeypatch.setattr(services, "aunread_count", faulty_count)


@pytest.mark.parametrize("name", BLOCKING)
async def test_it_works(name: str, api: ApiFor, alice: User, monkeypatch: pytest.MonkeyPatch, faults: Faults) -> None:
    plant(monkeypatch, BLOCKING[name])
    client = await api(alice)
    assert (await client.ask("{ unreadCount }")).codes == ["INTERNAL_ERROR"]
    found = faults.pop_all()
    assert found.startswith(f"{name} blocks the event loop:")
    assert "apps/notifications/schema.py" in found
    assert "in faulty_count" in found


async def test_sql(api: ApiFor, alice: User, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    plant(monkeypatch, User.objects.first)
    client = await api(alice)
    assert (await client.ask("{ unreadCount }")).codes == ["INTERNAL_ERROR"]
    assert "SynchronousOnlyOperation" in caplog.text


async def test_who_catches_it_has_not_mended_it(
    api: ApiFor, alice: User, monkeypatch: pytest.MonkeyPatch, faults: Faults
) -> None:
    def read_if_possible() -> None:
        with suppress(Exception):
            HERE.read_bytes()

    plant(monkeypatch, read_if_possible)
    client = await api(alice)
    assert (await client.ask("{ unreadCount }")).data == {"unreadCount": 0}
    assert "blocks the event loop" in faults.pop_all()


async def test_a_slow_callback(api: ApiFor, alice: User, monkeypatch: pytest.MonkeyPatch, faults: Faults) -> None:
    plant(monkeypatch, compute)
    client = await api(alice)
    assert (await client.ask("{ unreadCount }")).data == {"unreadCount": 0}
    await asyncio.sleep(0)
    assert "The event loop is held up" in faults.pop_all()


async def test_in_a_thread_it_may_wait(
    api: ApiFor, alice: User, monkeypatch: pytest.MonkeyPatch, faults: Faults
) -> None:
    async def count(user: User) -> int:
        return len(await asyncio.to_thread(HERE.read_bytes))

    monkeypatch.setattr(services, "aunread_count", count)
    client = await api(alice)
    assert (await client.ask("{ unreadCount }")).data == {"unreadCount": HERE.stat().st_size}
    assert not faults


def compute() -> None:
    end = time.thread_time() + 0.2
    while time.thread_time() < end:
        pass


@cache
def hard() -> str:
    """Twice as hard for each letter."""
    text = "a" * 18
    took = 0.0
    while took < 0.2:
        text += "a"
        began = time.thread_time()
        re.match("(a+)+b", text)
        took = time.thread_time() - began
    return text


def keep_the_interpreter() -> None:
    """In one call into C, during which no other thread has its turn."""
    re.match("(a+)+b", hard())


def wait() -> None:
    select.select([], [], [], 0.3)  # as a library does that knows nothing of loops


@pytest.mark.parametrize("hold_up", [compute, keep_the_interpreter, wait])
async def test_a_callback_that_takes_long(hold_up: Callable[[], None]) -> None:
    hard()
    stalls: list[Stall] = []
    guard = LoopGuard(stalls.append)
    guard.watch(asyncio.get_running_loop())
    told: list[Stall] = []
    try:
        async with asyncio.timeout(20):
            while not told:  # at once, on a machine that gives the guard a processor in time
                await asyncio.sleep(0)
                hold_up()
                await asyncio.sleep(0.1)  # idle, which is none
                told = [stall for stall in stalls if hold_up.__name__ in str(stall)]
    finally:
        await asyncio.to_thread(guard.stop)
    assert all(stall.seconds > SLOW_SECONDS for stall in stalls)
    assert (told[0].cpu_seconds > SLOW_SECONDS) == (hold_up is not wait)
    assert guard.stalls == len(stalls)
    assert guard.longest_seconds == max(stall.seconds for stall in stalls)


class Unhurried(LoopGuard):
    """It looks when it is told to."""

    def run(self) -> None:
        pass


class Looked:
    """At each of these times, and at no other; whatever is still running then is one that takes long."""

    def __init__(self) -> None:
        self.stalls: list[Stall] = []
        self.guard = Unhurried(self.stalls.append)
        self.guard.slow_seconds, self.guard.look_seconds = 0, 3600
        self.guard.watch(asyncio.get_running_loop())

    def look(self) -> None:
        thread = threading.Thread(target=self.guard._look)
        thread.start()
        thread.join()

    def functions(self) -> list[str]:
        """The innermost one of the loop's, for each stall."""
        return [
            next(frame.name for frame in reversed(stall.stack) if frame.filename == __file__ and frame.name != "look")
            for stall in self.stalls
        ]


@pytest.fixture
async def looked() -> Looked:
    looked = Looked()
    await asyncio.sleep(0)
    return looked


async def test_many_steps_of_one_task_are_not_one(looked: Looked) -> None:
    """Its coroutine has the same frame in all of them."""
    for _ in range(100):
        looked.look()
        await asyncio.sleep(0)
    assert looked.stalls == []


async def test_one_step_is(looked: Looked) -> None:
    looked.look()
    looked.look()
    looked.look()
    await asyncio.sleep(0)
    looked.look()
    assert looked.functions() == ["test_one_step_is"]
    assert looked.guard.longest_seconds == looked.stalls[0].seconds > 0


async def test_many_callbacks_of_one_turn_are_not_one(looked: Looked) -> None:
    loop = asyncio.get_running_loop()
    for _ in range(100):
        loop.call_soon(looked.look)
    await asyncio.sleep(0)
    assert looked.stalls == []


async def test_one_callback_is(looked: Looked) -> None:
    def slow() -> None:
        looked.look()
        looked.look()

    def readable() -> None:
        loop.remove_reader(one)
        slow()
        read.set()

    read = asyncio.Event()
    loop = asyncio.get_running_loop()
    one, other = socket.socketpair()
    with one, other:
        loop.call_soon(slow)
        loop.call_later(0, slow)
        loop.add_reader(one, readable)
        other.shutdown(socket.SHUT_WR)
        await read.wait()
    assert looked.functions() == ["slow"] * 3


@pytest.mark.parametrize(("hold_up", "stalls"), [(compute, 1), (wait, 0)])
async def test_who_kept_the_interpreter(looked: Looked, hold_up: Callable[[], None], stalls: int) -> None:
    """A look that comes late sees for the first time who made it late, if the loop's thread worked meanwhile."""
    looked.guard.slow_seconds, looked.guard.look_seconds = 0.1, 0
    looked.look()
    await asyncio.sleep(0)
    hold_up()
    looked.look()
    assert looked.functions() == ["test_who_kept_the_interpreter"] * stalls


async def test_a_look_that_is_late_because_the_machine_is_busy(looked: Looked) -> None:
    looked.guard.slow_seconds, looked.guard.look_seconds = 0.1, 0
    looked.look()
    await asyncio.sleep(0)
    compute()
    await asyncio.sleep(2 * TICK_SECONDS)
    looked.look()
    assert looked.stalls == []


async def test_what_it_has_seen_it_does_not_keep(looked: Looked) -> None:
    async def step() -> None:
        kept = Kept()
        seen.append(ref(kept))
        looked.look()
        await asyncio.sleep(0)

    class Kept:
        pass

    seen: list[ref[Kept]] = []
    await step()
    gc.collect()
    assert seen[0]() is None


@pytest.fixture(params=["daphne", "uvicorn"])
def serve(
    request: pytest.FixtureRequest, transactional_db: None, tmp_path: Path, static: Path
) -> Iterator[Callable[..., Served]]:
    """On asyncio's loop, and on uvloop."""
    with ExitStack() as stack:

        def start(**changes: str) -> Served:
            changes["DJANGO_SETTINGS_MODULE"] = "tests.site.blocking_settings"
            served = Served(request.param, tmp_path, static, **changes)
            stack.callback(served.kill)
            return served

        yield start


def test_in_production_it_is_a_figure(serve: Callable[..., Served]) -> None:
    served = serve()
    before = figures(served)
    assert httpx.get(f"{served.url}/think/").status_code == 200
    assert httpx.get(f"{served.url}/read/").status_code == 200
    after = figures(served)
    assert after["stalls"] > before["stalls"]
    assert after["longest_ms"] > 100
    log = served.log.read_text()
    assert re.search(r"WARNING config.loop_guard The event loop is held up, for \d+ ms", log)
    assert "in think" in log


def test_in_development_it_is_an_error(serve: Callable[..., Served]) -> None:
    served = serve(DEBUG="1")
    assert httpx.get(f"{served.url}/think/").status_code == 200
    answer = httpx.get(f"{served.url}/read/")
    assert answer.status_code == 500
    assert "Blocking call to io.open" in answer.text
    log = served.log.read_text()
    assert re.search(r"ERROR config.loop_guard The event loop is held up, for \d+ ms", log)
    assert "in think" in log


def figures(server: Served) -> dict[str, int]:
    return httpx.get(f"{server.url}/health/ready/").json()["event_loop"]
