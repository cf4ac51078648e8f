import json

import pytest

from apps.profiles.models import Profile
from apps.users.models import User
from tests.clients import Answer
from tests.conftest import ApiFor, SocketFor

UPDATE = """
mutation ($input: UpdateProfileInput!) {
  updateProfile(input: $input) {
    __typename
    ... on Profile { displayName bio avatar { url } }
    ... on OperationInfo { messages { kind field code } }
  }
}
"""
ME = "{ me { profile { displayName bio } } }"


async def test_it_works(api: ApiFor, alice: User, bob: User) -> None:
    client = await api(alice)
    answer = await client.data(UPDATE, input={"displayName": "Alice Liddell", "bio": "Fell down a hole.\nTwice."})
    assert answer["updateProfile"] == {
        "__typename": "Profile",
        "displayName": "Alice Liddell",
        "bio": "Fell down a hole.\nTwice.",
        "avatar": None,
    }
    assert (await client.data(ME))["me"]["profile"] == {
        "displayName": "Alice Liddell",
        "bio": "Fell down a hole.\nTwice.",
    }
    assert (await (await api(bob)).data(ME))["me"]["profile"] == {"displayName": "Bob", "bio": ""}


@pytest.mark.parametrize("absent", [{}, {"displayName": None}])
async def test_what_is_absent_or_null_stays(api: ApiFor, alice: User, absent: dict[str, None]) -> None:
    client = await api(alice)
    await client.data(UPDATE, input={"bio": "Curious."})
    answer = await client.data(UPDATE, input={**absent, "bio": None})
    assert (answer["updateProfile"]["displayName"], answer["updateProfile"]["bio"]) == ("Alice", "Curious.")


async def test_an_empty_text_empties(api: ApiFor, alice: User) -> None:
    client = await api(alice)
    await client.data(UPDATE, input={"bio": "Curious."})
    await client.data(UPDATE, input={"displayName": "", "bio": ""})
    profile = await Profile.objects.aget(user=alice)
    assert (profile.display_name, profile.bio) == ("", "")


async def test_who_has_no_name_is_still_called_something(api: ApiFor, alice: User) -> None:
    """Never the address, which is nobody else's business."""
    answer = await (await api(alice)).data(UPDATE, input={"displayName": ""})
    assert answer["updateProfile"]["displayName"]
    assert "alice" not in answer["updateProfile"]["displayName"].lower()


async def test_space_around_is_cut_off(api: ApiFor, alice: User) -> None:
    answer = await (await api(alice)).data(UPDATE, input={"displayName": "  Alice \n", "bio": "\t"})
    assert (answer["updateProfile"]["displayName"], answer["updateProfile"]["bio"]) == ("Alice", "")


async def test_a_name_is_any_text_and_only_text(api: ApiFor, alice: User) -> None:
    client = await api(alice)
    for name in ("Zoë 👩🏽\u200d🚀", "أليس", "愛麗絲", "<script>alert(1)</script>", "{{ user.password }}"):
        assert (await client.data(UPDATE, input={"displayName": name}))["updateProfile"]["displayName"] == name
        page = await client.get("/settings/")
        assert page.status_code == 200
        assert "<script>alert" not in page.text


@pytest.mark.parametrize(("field", "length"), [("displayName", 80), ("bio", 500)])
async def test_a_text_has_a_greatest_length(api: ApiFor, alice: User, field: str, length: int) -> None:
    client = await api(alice)
    longest = "é" * length
    assert (await client.data(UPDATE, input={field: longest}))["updateProfile"][field] == longest
    answer = await client.data(UPDATE, input={field: longest + "é"})
    assert answer["updateProfile"]["__typename"] == "OperationInfo"
    [message] = answer["updateProfile"]["messages"]
    assert message == {"kind": "VALIDATION", "field": field, "code": "max_length"}


async def test_nothing_is_changed_when_a_part_is_refused(api: ApiFor, alice: User) -> None:
    client = await api(alice)
    answer = await client.data(UPDATE, input={"displayName": "Changed", "bio": "x" * 501})
    assert answer["updateProfile"]["__typename"] == "OperationInfo"
    assert (await client.data(ME))["me"]["profile"] == {"displayName": "Alice", "bio": ""}


@pytest.mark.parametrize("field", ["displayName", "bio"])
@pytest.mark.parametrize("text", ["nul\x00", "half of a pair\ud83d"])
async def test_a_text_that_no_database_can_keep_is_refused(api: ApiFor, alice: User, field: str, text: str) -> None:
    client = await api(alice)
    body = json.dumps({"query": UPDATE, "variables": {"input": {field: text}}})
    headers = {"Content-Type": "application/json", **await client.csrf_headers()}
    answer = Answer(await client.post("/graphql/", content=body, headers=headers))
    assert answer.codes == ["BAD_USER_INPUT"]
    assert (await client.data(ME))["me"]["profile"] == {"displayName": "Alice", "bio": ""}


async def test_what_is_no_text_is_refused(api: ApiFor, alice: User) -> None:
    client = await api(alice)
    for value in (1, True, ["Alice"], {"first": "Alice"}):
        assert (await client.ask(UPDATE, input={"displayName": value})).codes == ["BAD_USER_INPUT"], value


async def test_a_visitor_can_t(api: ApiFor, alice: User) -> None:
    answer = await (await api()).ask(UPDATE, input={"displayName": "Mallory"})
    assert answer.codes == ["UNAUTHENTICATED"]
    assert await Profile.objects.filter(display_name="Alice").aexists()


async def test_over_a_websocket(socket: SocketFor, alice: User) -> None:
    client = await socket(alice)
    await client.subscribe(UPDATE, input={"displayName": "Alice Liddell"})
    assert (await client.next())["updateProfile"]["displayName"] == "Alice Liddell"
