"""Whoever holds up the event loop is caught in the act."""

import asyncio
import io
import os
import re
import select
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import httpx
import pytest
from PIL import Image

from apps.notifications import services
from apps.users.models import User
from config.loop_guard import SLOW_SECONDS, LoopGuard, Stall
from tests.conftest import ApiFor
from tests.guard import Faults
from tests.pictures import encode, quadrants
from tests.processes import Server

PICTURE = encode(quadrants(64, 64), "PNG")
HERE = Path(__file__)
NOWHERE = ("127.0.0.1", 1)


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


def keep_the_interpreter() -> None:
    """In one call into C, during which no other thread has its turn."""
    began = time.thread_time()
    for length in range(18, 40):
        re.match("(a+)+b", "a" * length)  # twice as long each time
        if time.thread_time() - began > 0.5:
            return


def wait() -> None:
    select.select([], [], [], 0.3)  # as a library does that knows nothing of loops


@pytest.mark.parametrize("hold_up", [compute, keep_the_interpreter, wait])
async def test_a_callback_that_takes_long(hold_up: Callable[[], None]) -> None:
    stalls: list[Stall] = []
    guard = LoopGuard(threading.current_thread(), stalls.append)
    guard.start()
    try:
        await asyncio.sleep(0)
        hold_up()
        await asyncio.sleep(0.1)  # idle, which is none
    finally:
        await asyncio.to_thread(guard.stop)
    told = [stall for stall in stalls if hold_up.__name__ in str(stall)]
    assert told
    assert all(stall.seconds > SLOW_SECONDS for stall in stalls)
    assert (told[0].cpu_seconds > SLOW_SECONDS) == (hold_up is not wait)
    assert guard.stalls == len(stalls)
    assert guard.longest_seconds > 0.1


def test_in_production_it_is_a_figure(start_server: Callable[..., Server]) -> None:
    server = start_server(DJANGO_SETTINGS_MODULE="tests.site.blocking_settings")
    before = figures(server)
    assert httpx.get(f"{server.url}/think/").status_code == 200
    assert httpx.get(f"{server.url}/read/").status_code == 200
    after = figures(server)
    assert after["stalls"] > before["stalls"]
    assert after["longest_ms"] > 100
    log = server.log.read_text()
    assert re.search(r"WARNING config.loop_guard The event loop is held up, for \d+ ms", log)
    assert "in think" in log


def test_in_development_it_is_an_error(start_server: Callable[..., Server]) -> None:
    server = start_server(DJANGO_SETTINGS_MODULE="tests.site.blocking_settings", DEBUG="1")
    assert httpx.get(f"{server.url}/think/").status_code == 200
    answer = httpx.get(f"{server.url}/read/")
    assert answer.status_code == 500
    assert "Blocking call to io.open" in answer.text
    log = server.log.read_text()
    assert re.search(r"ERROR config.loop_guard The event loop is held up, for \d+ ms", log)
    assert "in think" in log


def figures(server: Server) -> dict[str, int]:
    return httpx.get(f"{server.url}/health/ready/").json()["event_loop"]
