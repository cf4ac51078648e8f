from apps.notifications.kinds import Announcement
from apps.notifications.services import anotify
from tests.conftest import ApiFor, User

UNREAD_COUNT = "{ unreadCount }"


async def test_it_works(api: ApiFor, alice: User, bob: User) -> None:
    await anotify([alice], Announcement("Hello"))
    assert await (await api(alice)).data(UNREAD_COUNT) == {"unreadCount": 1}
    assert await (await api(bob)).data(UNREAD_COUNT) == {"unreadCount": 0}


async def test_a_visitor_is_refused(api: ApiFor, transactional_db: None) -> None:
    assert (await (await api()).ask(UNREAD_COUNT)).codes == ["UNAUTHENTICATED"]
