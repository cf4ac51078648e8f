"""Uploads that fit no operation are refused, as JSON."""

import json
from typing import Any

import pytest

from apps.users.models import User
from tests.clients import Answer
from tests.conftest import ApiFor
from tests.pictures import phone_jpeg

SET_AVATAR = "mutation ($image: Upload!) { setAvatar(input: { image: $image }) { __typename } }"
OPERATIONS = {"query": SET_AVATAR, "variables": {"image": None}}
PICTURE = ("me.jpg", phone_jpeg(), "image/jpeg")
FITS = {"file": ["variables.image"]}


async def test_it_works(api: ApiFor, alice: User) -> None:
    client = await api(alice)
    form = {"operations": json.dumps(OPERATIONS), "map": json.dumps(FITS)}
    answer = await client.post("/graphql/", data=form, files={"file": PICTURE}, headers=await client.csrf_headers())
    assert Answer(answer).data == {"setAvatar": {"__typename": "Profile"}}


WRONG: dict[str, tuple[Any, Any]] = {
    "a map that names no file": (OPERATIONS, {"other": ["variables.image"]}),
    "a map that is a list": (OPERATIONS, [["variables.image"]]),
    "a map that is a text": (OPERATIONS, "file"),
    "a map that is null": (OPERATIONS, None),
    "a map of a number": (OPERATIONS, {"file": 1}),
    "a map of a text": (OPERATIONS, {"file": "variables.image"}),
    "a map of numbers": (OPERATIONS, {"file": [1]}),
    "a path into nothing": (OPERATIONS, {"file": ["variables.other.image"]}),
    "a path into a text": (OPERATIONS, {"file": ["query.image"]}),
    "a path into a text's letter": (OPERATIONS, {"file": ["query.0"]}),
    "an empty path": (OPERATIONS, {"file": [""]}),
    "an index out of range": ({**OPERATIONS, "variables": {"image": []}}, {"file": ["variables.image.5"]}),
    "an index that is none": ({**OPERATIONS, "variables": {"image": []}}, {"file": ["variables.image.x"]}),
    "operations that are a list": ([OPERATIONS], {"file": ["0.variables.image"]}),
    "operations that are a text": ("{ me { id } }", FITS),
    "operations that are null": (None, FITS),
    "operations that are a number": (1, FITS),
    "no variables": ({"query": SET_AVATAR}, FITS),
    "variables that are a list": ({"query": SET_AVATAR, "variables": []}, FITS),
}


@pytest.mark.parametrize(("operations", "map_"), WRONG.values(), ids=WRONG)
async def test_what_does_not_fit(api: ApiFor, alice: User, operations: Any, map_: Any) -> None:
    client = await api(alice)
    form = {"operations": json.dumps(operations), "map": json.dumps(map_)}
    answer = await client.post("/graphql/", data=form, files={"file": PICTURE}, headers=await client.csrf_headers())
    assert answer.status_code in {400, 415}
    assert Answer(answer).codes == ["BAD_USER_INPUT"]


@pytest.mark.parametrize("text", ["", "{", "nonsense", "[" * 100_000, "9" * 5_000, '"\\ud800"', "NaN", "\xff"])
async def test_what_is_no_json(api: ApiFor, alice: User, text: str) -> None:
    client = await api(alice)
    for form in ({"operations": text, "map": json.dumps(FITS)}, {"operations": json.dumps(OPERATIONS), "map": text}):
        answer = await client.post("/graphql/", data=form, files={"file": PICTURE}, headers=await client.csrf_headers())
        assert answer.status_code in {400, 415}
        assert Answer(answer).codes


async def test_a_hundred_and_one_parts(api: ApiFor, alice: User) -> None:
    client = await api(alice)
    files = {f"file{number}": PICTURE for number in range(101)}
    form = {"operations": json.dumps(OPERATIONS), "map": json.dumps({name: ["variables.image"] for name in files})}
    answer = await client.post("/graphql/", data=form, files=files, headers=await client.csrf_headers())
    assert answer.status_code == 400
    assert Answer(answer).codes == ["BAD_USER_INPUT"]


async def test_one_file_in_two_places(api: ApiFor, alice: User) -> None:
    client = await api(alice)
    query = """mutation ($one: Upload!, $other: Upload!) {
      one: setAvatar(input: { image: $one }) { __typename }
      other: setAvatar(input: { image: $other }) { __typename }
    }"""
    operations = {"query": query, "variables": {"one": None, "other": None}}
    form = {"operations": json.dumps(operations), "map": json.dumps({"file": ["variables.one", "variables.other"]})}
    answer = await client.post("/graphql/", data=form, files={"file": PICTURE}, headers=await client.csrf_headers())
    assert Answer(answer).data == {"one": {"__typename": "Profile"}, "other": {"__typename": "Profile"}}


async def test_a_text_for_an_upload(api: ApiFor, alice: User) -> None:
    client = await api(alice)
    operations = {**OPERATIONS, "variables": {"image": "me.jpg"}}
    form = {"operations": json.dumps(operations), "map": "{}"}
    answer = await client.post("/graphql/", data=form, files={"file": PICTURE}, headers=await client.csrf_headers())
    assert Answer(answer).codes == ["BAD_USER_INPUT"]


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=", b"x"),
        ("multipart/form-data; boundary=x", b""),
        ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="operations"\r\n\r\n{'),
        ("multipart/form-data; boundary=x", b"\xff" * 1_000),
        ("multipart/form-data; boundary=\xe9", b"--\xe9--"),
        ("multipart/mixed; boundary=x", b"--x--"),
    ],
)
async def test_what_is_no_multipart(api: ApiFor, alice: User, kind: str, body: bytes) -> None:
    client = await api(alice)
    headers = {b"Content-Type": kind.encode("latin-1")} | {
        name.encode(): value.encode() for name, value in (await client.csrf_headers()).items()
    }
    answer = await client.post("/graphql/", content=body, headers=headers)
    assert answer.status_code in {400, 415}
    assert Answer(answer).codes
