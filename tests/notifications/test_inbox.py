from apps.notifications.kinds import Announcement
from apps.notifications.models import Inbox
from apps.notifications.services import anotify
from tests.conftest import ApiFor, User

INBOX = """query ($after: Int) {
    inbox(after: $after) { sequence unreadCount hasMore notifications { title sequence } }
}"""


async def test_it_works(api: ApiFor, alice: User) -> None:
    client = await api(alice)
    for title in "abc":
        await anotify([alice], Announcement(title))
    now = (await client.data(INBOX))["inbox"]
    assert now == {"sequence": 3, "unreadCount": 3, "hasMore": False, "notifications": []}
    since = (await client.data(INBOX, after=1))["inbox"]
    assert since["notifications"] == [{"title": "b", "sequence": 2}, {"title": "c", "sequence": 3}]
    assert since["sequence"] == 3


async def test_more_waits_behind_a_full_page(api: ApiFor, alice: User) -> None:
    for number in range(150):
        await anotify([alice], Announcement(str(number)))
    client = await api(alice)
    page = (await client.data(INBOX, after=0))["inbox"]
    assert (page["sequence"], page["hasMore"], len(page["notifications"])) == (100, True, 100)
    rest = (await client.data(INBOX, after=100))["inbox"]
    assert (rest["sequence"], rest["hasMore"], len(rest["notifications"])) == (150, False, 50)


async def test_a_cursor_from_the_future_is_refused(api: ApiFor, alice: User) -> None:
    assert (await (await api(alice)).ask(INBOX, after=1)).codes == ["BAD_CURSOR"]
    assert (await (await api(alice)).ask(INBOX, after=-1)).codes == ["BAD_CURSOR"]


async def test_a_cursor_older_than_what_is_kept_is_refused(api: ApiFor, alice: User) -> None:
    await Inbox.objects.filter(user=alice).aupdate(sequence=10, floor=5)
    client = await api(alice)
    assert (await client.ask(INBOX, after=4)).codes == ["CURSOR_EXPIRED"]
    assert (await client.ask(INBOX, after=5)).codes == []


async def test_a_visitor_is_refused(api: ApiFor, transactional_db: None) -> None:
    assert (await (await api()).ask(INBOX)).codes == ["UNAUTHENTICATED"]
