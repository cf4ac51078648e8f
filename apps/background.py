"""Work that an answer does not wait for, and whose time tells nothing: in this process, on a few threads of its own.

What must survive the process belongs into the database instead, in the transaction that wants it.
"""

import atexit
import logging
import time
from collections.abc import Callable
from functools import cache
from queue import Queue
from threading import Thread

from django.conf import settings
from django.db import connections, transaction
from django.utils.translation import get_language, override

logger = logging.getLogger(__name__)

AFTER_SECONDS = 0.1
"""By then the answer has left: work beside it would make it later, which tells that there is work."""
EXIT_SECONDS = 3
"""How long an ending process waits for what is left."""

_queue: Queue[Callable[[], None]] = Queue()


def in_background(work: Callable[[], object]) -> None:
    """Does the work after the commit, in the language of whoever asks. A failure is logged, and goes no further.

    Where `BACKGROUND_THREADS` is 0 it is done on the spot.
    """
    language = get_language()
    due = time.monotonic() + AFTER_SECONDS

    def run() -> None:
        try:
            with override(language):
                work()
        except Exception:
            logger.exception("Failed in the background: %r", work)

    def run_when_due() -> None:
        time.sleep(max(0.0, due - time.monotonic()))
        run()
        connections.close_all()

    if settings.BACKGROUND_THREADS:
        _start()
        transaction.on_commit(lambda: _queue.put(run_when_due))
    else:
        transaction.on_commit(run)


@cache
def _start() -> None:
    for _ in range(settings.BACKGROUND_THREADS):
        # Daemons: the process ends without them, where one hangs at a mail server that does not answer.
        Thread(target=_serve, name="background", daemon=True).start()
    atexit.register(_finish)


def _serve() -> None:
    while True:
        work = _queue.get()
        try:
            work()
        finally:
            _queue.task_done()


def _finish() -> None:
    with _queue.all_tasks_done:
        if not _queue.all_tasks_done.wait_for(lambda: not _queue.unfinished_tasks, EXIT_SECONDS):
            logger.error("Left undone in the background: %s", _queue.unfinished_tasks)
