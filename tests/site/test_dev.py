"""`make dev`: it serves where it is told to, and leaves nothing running."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.site.machine import OUTSIDE, ROOT, free_port


@pytest.fixture
def port() -> str:
    return free_port()


def start(port: str, folder: Path) -> "subprocess.Popen[str]":
    own = {"PORT": port, "DATABASE_URL": f"sqlite:///{folder / 'db.sqlite3'}", "MEDIA_ROOT": str(folder / "media")}
    return subprocess.Popen(
        [sys.executable, ROOT / "scripts/dev.py"],
        env=OUTSIDE | own,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # a process group, as a terminal gives to `make dev`
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_IGN),  # as a script's background job has it
    )


def wait_for(url: str, process: "subprocess.Popen[str]") -> None:
    deadline = time.monotonic() + 60
    while True:
        try:
            httpx.get(url).raise_for_status()
            return
        except httpx.TransportError:
            assert process.poll() is None, process.communicate()[0]
            assert time.monotonic() < deadline, "it does not serve"


@pytest.fixture
def dev(port: str, tmp_path: Path) -> Iterator["subprocess.Popen[str]"]:
    with start(port, tmp_path) as process:
        try:
            wait_for(f"http://127.0.0.1:{port}/health/ready/", process)
            yield process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def ends_with_all_it_started(process: "subprocess.Popen[str]") -> None:
    process.communicate(timeout=10)  # back when nobody has its output open any more, the one that serves neither


def test_it_works(dev: "subprocess.Popen[str]", port: str) -> None:
    assert httpx.get(f"http://127.0.0.1:{port}/").status_code == 200
    os.killpg(dev.pid, signal.SIGINT)  # Ctrl-C
    ends_with_all_it_started(dev)


def test_sigterm_to_the_one_process_ends_all(dev: "subprocess.Popen[str]") -> None:
    dev.terminate()
    ends_with_all_it_started(dev)


def test_a_port_that_is_taken_is_refused_with_advice(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other, start(str(other.getsockname()[1]), tmp_path) as process:
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "make dev PORT=" in output
