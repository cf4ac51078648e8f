"""A process for each picture: one that takes too long or too much memory is ended, and the server does not notice.

A thread could not be ended, and a decoder that crashes would take the server with it.
"""

import os
import subprocess
import sys
import threading
from pathlib import Path

from django.db import connection

from apps.profiles.images import SIZES, InvalidImage
from apps.profiles.worker import LENGTH, STATUS

ROOT = Path(__file__).parent.parent.parent
WORKER = ["-m", "apps.profiles.worker"]
MAX_SQUARE = 1 << 20
"""Bytes of one picture that comes back; those that are made here have a tenth."""
MEMORY = 1 << 30
"""Bytes of address space for each. The largest picture takes some 400 MB."""
SECONDS = 10
"""Of processor time for each, and twice that by the clock."""
WAIT_SECONDS = 20
"""How long a picture waits for its turn."""
AT_ONCE = os.cpu_count() or 1

_turn = threading.BoundedSemaphore(AT_ONCE)


class Busy(Exception):
    """More pictures wait than can be decoded in time."""


def squares(content: bytes) -> dict[int, bytes]:
    """As `images.squares`, in a process of its own. Also raises `Busy`.

    As many run at once as there are processors. Who waits for one keeps no connection to the database meanwhile.
    """
    if not connection.in_atomic_block:
        connection.close()
    if not _turn.acquire(timeout=WAIT_SECONDS):
        raise Busy
    try:
        return _run(content)
    finally:
        _turn.release()


def _run(content: bytes) -> dict[int, bytes]:
    command = [sys.executable, *WORKER, str(MEMORY), str(SECONDS)]
    try:
        done = subprocess.run(  # noqa: S603 - the command is ours; the environment, with its secrets, is not passed on
            command, input=content, capture_output=True, cwd=ROOT, env={}, timeout=2 * SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise InvalidImage("It took too long") from error
    for refusal, status in STATUS.items():
        if done.returncode == status:
            raise refusal(done.stderr.decode(errors="replace"))
    if done.returncode:  # ended for using too much, or crashed
        raise InvalidImage(f"The decoder ended with {done.returncode}")
    return _unpacked(done.stdout)


def _unpacked(output: bytes) -> dict[int, bytes]:
    """Read with suspicion: who wrote it had read a stranger's file."""
    pictures = {}
    for size in SIZES:
        length = int.from_bytes(output[:LENGTH])
        pictures[size], output = output[LENGTH : LENGTH + length], output[LENGTH + length :]
        if not (len(pictures[size]) == length <= MAX_SQUARE and pictures[size].startswith(b"RIFF")):
            raise InvalidImage("The decoder answered something else")
    return pictures
