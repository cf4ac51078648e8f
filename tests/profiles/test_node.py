from asgiref.sync import sync_to_async
from strawberry.relay import to_base64

from apps.notifications.kinds import Announcement
from apps.notifications.models import Notification
from apps.notifications.services import notify
from apps.users.models import User
from tests.conftest import ApiFor, SocketFor

NODE = """
query ($id: ID!) {
  node(id: $id) {
    __typename
    id
    ... on Profile { displayName bio avatar { url } }
    ... on User { email profile { displayName } }
    ... on Notification { title actor { displayName } }
  }
}
"""
MY_IDS = "{ me { id profile { id } } notifications { edges { node { id } } } }"
NOTHING = {"node": None}


async def test_it_works(api: ApiFor, alice: User, bob: User) -> None:
    mine = (await (await api(alice)).data(MY_IDS))["me"]["profile"]["id"]
    for client in (await api(alice), await api(bob)):
        assert await client.data(NODE, id=mine) == {
            "node": {"__typename": "Profile", "id": mine, "displayName": "Alice", "bio": "", "avatar": None}
        }


async def test_a_visitor_gets_nothing(api: ApiFor, alice: User) -> None:
    me = (await (await api(alice)).data(MY_IDS))["me"]
    visitor = await api()
    assert await visitor.data(NODE, id=me["profile"]["id"]) == NOTHING
    assert await visitor.data(NODE, id=me["id"]) == NOTHING


async def test_one_that_does_not_exist(api: ApiFor, alice: User) -> None:
    client = await api(alice)
    for type_name in ("Profile", "User", "Notification"):
        for key in (str(10**9), "0", "-1", "9" * 30, "x", "1.5", "", " ", "²", "\u0661", "1 OR 1=1", "1:1"):
            assert await client.data(NODE, id=to_base64(type_name, key)) == NOTHING, (type_name, key)


async def test_a_malformed_id_is_refused(api: ApiFor, alice: User) -> None:
    client = await api(alice)
    for malformed in ("", "x", "Profile:1", "💥", "====", "A" * 10_000, "cHJvZmlsZQ==", "/w==", to_base64("", "1")):
        answer = await client.ask(NODE, id=malformed)
        assert answer.codes == ["BAD_USER_INPUT"], malformed


async def test_an_id_of_what_is_no_node_is_refused(api: ApiFor, alice: User) -> None:
    client = await api(alice)
    for type_name in ("Nothing", "profile", "Query", "Avatar", "AvatarSize", "ID", "Node", "ProfileResult", "__Type"):
        answer = await client.ask(NODE, id=to_base64(type_name, "1"))
        assert answer.codes == ["BAD_USER_INPUT"], type_name


async def test_what_is_no_id_at_all_is_refused(api: ApiFor, alice: User) -> None:
    client = await api(alice)
    values: list[object] = [None, 1.5, True, ["x"], {}]
    for value in values:
        answer = await client.ask(NODE, id=value)
        assert answer.codes == ["BAD_USER_INPUT"], value


async def test_an_id_that_no_database_can_read_is_refused(api: ApiFor, alice: User) -> None:
    client = await api(alice)
    for type_name in ("Profile", "User", "Notification"):
        answer = await client.ask(NODE, id=to_base64(type_name, "1\x00"))
        assert answer.codes == ["BAD_USER_INPUT"], type_name


async def test_an_account_is_its_owner_s_alone(api: ApiFor, alice: User, bob: User) -> None:
    mine = (await (await api(alice)).data(MY_IDS))["me"]["id"]
    assert await (await api(alice)).data(NODE, id=mine) == {
        "node": {"__typename": "User", "id": mine, "email": "alice@example.com", "profile": {"displayName": "Alice"}}
    }
    assert await (await api(bob)).data(NODE, id=mine) == NOTHING


async def test_staff_are_no_exception(api: ApiFor, alice: User, bob: User) -> None:
    """What the API shows does not depend on it; the admin is their place."""
    await User.objects.filter(pk=bob.pk).aupdate(is_staff=True, is_superuser=True)
    mine = (await (await api(alice)).data(MY_IDS))["me"]["id"]
    assert await (await api(bob)).data(NODE, id=mine) == NOTHING


async def test_a_notification_is_its_recipient_s_alone(api: ApiFor, alice: User, bob: User) -> None:
    await sync_to_async(notify)([alice], Announcement("For Alice"), actor=bob)
    owner, other, visitor = await api(alice), await api(bob), await api()
    [edge] = (await owner.data(MY_IDS))["notifications"]["edges"]
    mine = edge["node"]["id"]
    assert await owner.data(NODE, id=mine) == {
        "node": {"__typename": "Notification", "id": mine, "title": "For Alice", "actor": {"displayName": "Bob"}}
    }

    await Notification.objects.filter(recipient=bob).adelete()
    somebody_else_s = await other.ask(NODE, id=mine)
    unknown = await other.ask(NODE, id=to_base64("Notification", 10**9))
    assert somebody_else_s.data == NOTHING
    assert somebody_else_s.response.content == unknown.response.content
    assert (await visitor.ask(NODE, id=mine)).response.content == unknown.response.content


async def test_a_deleted_one_is_gone(api: ApiFor, alice: User, bob: User) -> None:
    client = await api(alice)
    bobs = (await (await api(bob)).data(MY_IDS))["me"]["profile"]["id"]
    await bob.adelete()
    assert await client.data(NODE, id=bobs) == NOTHING


async def test_many_at_once(api: ApiFor, alice: User, bob: User) -> None:
    client = await api(alice)
    mine = (await client.data(MY_IDS))["me"]["profile"]["id"]
    bobs = (await (await api(bob)).data(MY_IDS))["me"]["profile"]["id"]
    query = "query ($a: ID!, $b: ID!) { a: node(id: $a) { id } b: node(id: $b) { id } c: node(id: $a) { id } }"
    assert await client.data(query, a=mine, b=bobs) == {"a": {"id": mine}, "b": {"id": bobs}, "c": {"id": mine}}


async def test_over_a_websocket(socket: SocketFor, api: ApiFor, alice: User, bob: User) -> None:
    bobs = (await (await api(bob)).data(MY_IDS))["me"]["profile"]["id"]
    client = await socket(alice)
    await client.subscribe(NODE, id=bobs)
    assert (await client.next())["node"]["displayName"] == "Bob"
