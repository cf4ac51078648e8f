"""What one async test writes, the next one does not see, though their code runs in other threads."""

import pytest
from channels.db import database_sync_to_async

from apps.notifications.kinds import Announcement
from apps.notifications.models import Notification
from apps.notifications.services import anotify
from tests.conftest import User


@pytest.mark.parametrize("turn", range(3))
async def test_it_works(turn: int, alice: User) -> None:
    await anotify([alice], Announcement(str(turn)))
    count = database_sync_to_async(lambda: (User.objects.count(), Notification.objects.count()))
    assert await count() == (1, 1)
