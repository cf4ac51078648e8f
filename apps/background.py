"""Work that an answer does not wait for, and whose time tells nothing: in this process, on a few threads of its own.

What must survive the process belongs into the database instead, in the transaction that wants it.
"""

import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from django.conf import settings
from django.db import connections, transaction
from django.utils.translation import get_language, override

logger = logging.getLogger(__name__)


@cache
def _threads() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(settings.BACKGROUND_THREADS, thread_name_prefix="background")


def in_background(work: Callable[[], object]) -> None:
    """Does the work after the commit, in the language of whoever asks. A failure is logged, and goes no further.

    The process ends only when it is done. Where `BACKGROUND_THREADS` is 0 it is done on the spot.
    """
    language = get_language()

    def run() -> None:
        try:
            with override(language):
                work()
        except Exception:
            logger.exception("Failed in the background: %r", work)

    def run_in_thread() -> None:
        try:
            run()
        finally:
            connections.close_all()

    if settings.BACKGROUND_THREADS:
        transaction.on_commit(lambda: _threads().submit(run_in_thread))
    else:
        transaction.on_commit(run)
