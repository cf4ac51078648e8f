"""One subscription: what arrives for it, in whatever order and however often, made into what its client is told."""

import asyncio
import logging

from django.conf import settings
from django.db import InterfaceError, OperationalError

from apps.notifications.changes import InboxChange, aread_changes

logger = logging.getLogger(__name__)

MAX_PENDING = 16
"""Changes that wait for one slow subscription. Past that it forgets them, and reads the table when it gets there."""


class Subscription:
    """One client's place in an inbox, and what has arrived for it meanwhile."""

    __slots__ = ("_behind", "_news", "_pending", "position", "user_id")

    def __init__(self, user_id: int) -> None:
        self.user_id = user_id
        self.position = -1
        """What the client has been told up to; below zero before the first time."""
        self._pending: list[InboxChange] = []
        self._behind = False  # the table knows more than what is pending here
        self._news: asyncio.Future[None] | None = None  # what `next` waits for

    @property
    def known(self) -> int | None:
        """What the client has been told up to, or is about to be. None: it is about to read the table anyway."""
        if self._behind or self.position < 0:
            return None
        return self._pending[-1].sequence if self._pending else self.position

    def offer(self, change: InboxChange) -> None:
        if len(self._pending) < MAX_PENDING:
            self._pending.append(change)
            self._wake()
        else:
            self.forget()

    def forget(self) -> None:
        """What is pending, or is known to be missing, is for the table to tell."""
        self._pending.clear()
        self._behind = True
        self._wake()

    def _wake(self) -> None:
        if self._news and not self._news.done():
            self._news.set_result(None)

    async def first(self, after: int | None) -> InboxChange:
        """What came after that number, or where the inbox stands. Raises `BadCursor` and `CursorExpired`."""
        return self._pass_on(await self._read(after))

    async def next(self) -> InboxChange:
        """The next change: as it arrived if it continues from what was the last one, else from the table."""
        while True:
            if self._behind:
                # Cleared before reading: what was published before now is in the table by now.
                self._behind = False
                self._pending.clear()
                change = await self._read(self.position)
                if change.sequence > self.position:
                    return self._pass_on(change)
            elif self._pending:
                change = self._pending.pop(0)
                if change.sequence <= self.position:
                    continue
                if change.after <= self.position and change.notifications is not None:
                    return self._pass_on(change.beginning_at(self.position))
                self._behind = True
            else:
                self._news = asyncio.get_running_loop().create_future()
                await self._news

    def _pass_on(self, change: InboxChange) -> InboxChange:
        self.position = change.sequence
        self._behind |= change.has_more
        return change

    async def _read(self, after: int | None) -> InboxChange:
        """As `read_changes`, but a database that is away is waited for: it ends no subscription."""
        while True:
            try:
                return await aread_changes(self.user_id, after)
            except (OperationalError, InterfaceError) as error:
                logger.warning("Could not read inbox %s, will try again: %r", self.user_id, error)
                await asyncio.sleep(settings.NOTIFICATIONS_POLL_SECONDS)
