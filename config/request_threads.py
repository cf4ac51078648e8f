"""Where the sync code of requests runs: each request has a thread, as in Django, and here the next one has it after it.

Django starts a thread for each request, and one more to end it. And a visit to a thread at the end gives back the
connection to the database; here each step has done that, so that nobody has one who waits for something else.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

from asgiref.sync import SyncToAsync, ThreadSensitiveContext
from django.conf import settings
from django.db import close_old_connections, connections, reset_queries

MAX_IDLE = 32
"""Threads that are kept for the next requests. There are as many as requests that need one at the same time."""

_idle: list[ThreadPoolExecutor] = []
"""Each with one thread. Only the event loop takes from here, and puts back."""


class RequestThread(Executor):
    """One request's: from its first step that needs one until it is released."""

    def __init__(self) -> None:
        self._executor: ThreadPoolExecutor | None = None
        self._steps: list[Future[Any]] = []
        self._is_in_transaction = False
        self._has_ended = False

    def submit[**P, R](self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Future[R]:
        if self._has_ended:  # for a task that outlives its request
            return SyncToAsync.single_thread_executor.submit(self._step, fn, *args, **kwargs)
        if self._executor is None:
            self._executor = _idle.pop() if _idle else ThreadPoolExecutor(1, thread_name_prefix="request")
            if settings.DEBUG:
                self._executor.submit(reset_queries)
        step = self._executor.submit(self._step, fn, *args, **kwargs)
        self._steps = [*(one for one in self._steps if not one.done()), step]
        return step

    def _step[**P, R](self, fn: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return fn(*args, **kwargs)
        finally:
            close_old_connections()
            self._is_in_transaction = any(one.in_atomic_block for one in connections.all(initialized_only=True))

    def release(self) -> None:
        """Until it is needed again. Not while a step is running that nobody waits for any more."""
        if self._executor and all(step.done() for step in self._steps):
            if self._is_in_transaction:
                self._executor.submit(_drop_connections)
            if len(_idle) < MAX_IDLE:
                _idle.append(self._executor)
            else:
                self._executor.shutdown(wait=False)
            self._executor, self._steps, self._is_in_transaction = None, [], False

    async def end(self) -> None:
        """Waits for what is running: it can't be interrupted, and belongs to the request."""
        self._has_ended = True
        try:
            if running := [asyncio.wrap_future(step) for step in self._steps if not step.done()]:
                await asyncio.wait(running)
        finally:
            self.release()
            if self._executor:
                self._executor.shutdown(wait=False)  # by itself, when it is done


def _drop_connections() -> None:
    """Some step opened a transaction, and none has ended it."""
    for connection in connections.all(initialized_only=True):
        connection.close()
        del connections[connection.alias]


@asynccontextmanager
async def request_thread() -> AsyncIterator[RequestThread]:
    """What `sync_to_async` uses here, and in the tasks that are made here."""
    thread, context = RequestThread(), ThreadSensitiveContext()
    SyncToAsync.context_to_thread_executor[context] = thread
    token = SyncToAsync.thread_sensitive_context.set(context)
    try:
        yield thread
    finally:
        SyncToAsync.thread_sensitive_context.reset(token)
        await thread.end()
