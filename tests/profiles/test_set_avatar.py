import asyncio
import json
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from django.core.files.base import ContentFile
from django.db import IntegrityError, transaction
from PIL import Image

from apps.profiles.services import profile_of, set_avatar
from apps.users.models import User
from tests.clients import Answer, Api
from tests.conftest import ApiFor
from tests.pictures import BLUE, GREEN, RED, WHITE, encode, phone_jpeg, quadrants

SET_AVATAR = """
mutation ($image: Upload!) {
  setAvatar(input: {image: $image}) {
    __typename
    ... on Profile {
      displayName
      avatar {
        default: url
        SMALL: url(size: SMALL)
        MEDIUM: url(size: MEDIUM)
        LARGE: url(size: LARGE)
        FULL: url(size: FULL)
      }
    }
    ... on OperationInfo { messages { kind message field code } }
  }
}
"""
ME = "{ me { profile { avatar { url } } } }"
PIXELS = {"SMALL": 64, "MEDIUM": 128, "LARGE": 256, "FULL": 512}
MEGABYTE = 1024 * 1024


async def picture(client: Api, url: str) -> Image.Image:
    answer = await client.get(url)
    assert answer.status_code == 200
    return Image.open(BytesIO(answer.content), formats=["WEBP"])


async def set_to(client: Api, content: bytes) -> dict[str, Any]:
    """The new avatar."""
    answer = await client.upload(SET_AVATAR, content)
    assert not answer.errors
    assert answer.data["setAvatar"]["__typename"] == "Profile", answer.data
    avatar: dict[str, Any] = answer.data["setAvatar"]["avatar"]
    return avatar


async def refusal(client: Api, content: bytes, name: str = "me.jpg") -> dict[str, Any]:
    """The one message about what can be mended."""
    answer = await client.upload(SET_AVATAR, content, name)
    assert not answer.errors
    assert answer.data["setAvatar"]["__typename"] == "OperationInfo", answer.data
    [message] = answer.data["setAvatar"]["messages"]
    assert message["message"]
    return {name: value for name, value in message.items() if name != "message"}


def files(media: Path) -> list[Path]:
    return sorted(path for path in media.rglob("*") if path.is_file())


async def test_it_works(api: ApiFor, alice: User) -> None:
    client = await api(alice)
    answer = await client.upload(SET_AVATAR, encode(quadrants(), "JPEG"))
    profile = answer.data["setAvatar"]
    assert (profile["__typename"], profile["displayName"]) == ("Profile", "Alice")
    for size, pixels in PIXELS.items():
        assert (await picture(client, profile["avatar"][size])).size == (pixels, pixels)
    assert profile["avatar"]["default"] == profile["avatar"]["MEDIUM"]
    assert (await client.data(ME))["me"]["profile"]["avatar"] == {"url": profile["avatar"]["MEDIUM"]}


async def test_it_is_there_at_once_and_everywhere(api: ApiFor, alice: User) -> None:
    client = await api(alice)
    avatar = await set_to(client, encode(quadrants(), "PNG"))
    for path in ("/", "/notifications/", "/settings/"):
        assert avatar["SMALL"] in (await client.get(path)).text, path


async def test_a_phone_s_picture_stands_upright(api: ApiFor, alice: User) -> None:
    client = await api(alice)
    avatar = await set_to(client, phone_jpeg())
    for size in PIXELS:
        image = (await picture(client, avatar[size])).convert("RGB")
        near, far = image.width // 4, 3 * image.width // 4
        for place, colour in {(near, near): RED, (far, near): GREEN, (near, far): BLUE, (far, far): WHITE}.items():
            assert image.getpixel(place) == pytest.approx(colour, abs=30)


async def test_a_small_picture_is_not_enlarged(api: ApiFor, alice: User) -> None:
    client = await api(alice)
    avatar = await set_to(client, encode(quadrants(100, 150), "PNG"))
    sizes = [(await picture(client, avatar[size])).size for size in PIXELS]
    assert sizes == [(64, 64), (100, 100), (100, 100), (100, 100)]


async def test_where_it_was_taken_is_not_kept(api: ApiFor, alice: User, media: Path) -> None:
    exif = Image.Exif()
    exif[0x0110] = "secret camera"
    exif.get_ifd(0x8825).update({1: "N", 2: (51.0, 45.0, 7.0), 3: "W", 4: (1.0, 15.0, 28.0)})
    content = encode(quadrants(), "JPEG", exif=exif)
    assert b"secret" in content
    assert Image.open(BytesIO(content)).getexif().get_ifd(0x8825)

    client = await api(alice)
    avatar = await set_to(client, content)
    for size in PIXELS:
        assert not (await picture(client, avatar[size])).getexif()
    assert len(files(media)) == len(PIXELS)
    assert not any(b"secret" in path.read_bytes() for path in files(media))


async def test_a_new_picture_has_new_addresses(api: ApiFor, alice: User) -> None:
    """Also when it is the same one: a browser keeps what it got from an address for ever."""
    client = await api(alice)
    first = await set_to(client, phone_jpeg())
    second = await set_to(client, phone_jpeg())
    assert not set(first.values()) & set(second.values())
    for size in PIXELS:
        assert (await client.get(first[size])).status_code == 404
        assert (await client.get(second[size])).status_code == 200


async def test_the_old_files_go_and_nobody_else_s(api: ApiFor, alice: User, bob: User, media: Path) -> None:
    client, other = await api(alice), await api(bob)
    await set_to(client, phone_jpeg())
    bobs = await set_to(other, phone_jpeg())
    await set_to(client, phone_jpeg())
    assert len(files(media)) == 2 * len(PIXELS)
    assert (await other.get(bobs["FULL"])).status_code == 200


async def test_the_address_tells_nothing_of_the_file_or_its_owner(api: ApiFor, alice: User) -> None:
    answer = await (await api(alice)).upload(SET_AVATAR, phone_jpeg(), "../../alice at home.php")
    url = answer.data["setAvatar"]["avatar"]["FULL"]
    assert "alice" not in url
    assert ".php" not in url
    _, media, avatars, name, file = url.split("/")
    assert (media, avatars, file) == ("media", "avatars", "512.webp")
    assert len(name) == 32


def test_the_old_files_stay_until_the_commit(alice: User, media: Path) -> None:
    set_avatar(alice, ContentFile(phone_jpeg()))
    before = files(media)
    with transaction.atomic():
        set_avatar(alice, ContentFile(phone_jpeg()))
        assert set(before) < set(files(media))
    assert not set(before) & set(files(media))
    assert len(files(media)) == len(before)


def test_after_a_rollback_the_old_picture_is_still_there(alice: User, media: Path) -> None:
    set_avatar(alice, ContentFile(phone_jpeg()))
    before, avatar = files(media), profile_of(alice).avatar
    with transaction.atomic():
        set_avatar(alice, ContentFile(phone_jpeg()))
        transaction.set_rollback(True)
    assert profile_of(alice).avatar == avatar
    assert set(before) <= set(files(media))


def test_a_user_who_is_gone_leaves_no_files(alice: User, media: Path) -> None:
    User.objects.get(pk=alice.pk).delete()
    with pytest.raises((IntegrityError, User.DoesNotExist)):
        set_avatar(alice, ContentFile(phone_jpeg()))
    assert files(media) == []


@pytest.mark.parametrize(
    "content",
    [
        b"Just a text.",
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        encode(quadrants(), "JPEG")[:2000],
        encode(quadrants(64, 64), "TIFF"),
        b"",
    ],
    ids=["text", "SVG", "broken", "TIFF", "empty"],
)
async def test_what_is_no_picture_is_refused(api: ApiFor, alice: User, media: Path, content: bytes) -> None:
    client = await api(alice)
    for name in ("me.jpg", "me.svg"):
        assert await refusal(client, content, name) == {"kind": "VALIDATION", "field": "image", "code": "invalid_image"}
    assert await client.data(ME) == {"me": {"profile": {"avatar": None}}}
    assert files(media) == []


async def test_a_large_file_is_refused(api: ApiFor, alice: User, media: Path) -> None:
    content = encode(quadrants(), "JPEG").ljust(6 * MEGABYTE, b"\x00")
    assert await refusal(await api(alice), content) == {"kind": "VALIDATION", "field": "image", "code": "too_large"}
    assert files(media) == []


async def test_five_megabytes_are_not_too_large(api: ApiFor, alice: User) -> None:
    content = encode(quadrants(), "JPEG").ljust(5 * MEGABYTE, b"\x00")
    await set_to(await api(alice), content)


async def test_a_large_picture_in_a_small_file_is_refused(api: ApiFor, alice: User, media: Path) -> None:
    content = encode(Image.new("1", (6000, 4001)), "PNG")
    assert len(content) < MEGABYTE
    assert await refusal(await api(alice), content) == {"kind": "VALIDATION", "field": "image", "code": "too_large"}
    assert files(media) == []


async def test_a_refused_picture_leaves_the_one_before(api: ApiFor, alice: User, media: Path) -> None:
    client = await api(alice)
    avatar = await set_to(client, phone_jpeg())
    before = files(media)
    await refusal(client, b"Just a text.")
    assert (await client.data(ME))["me"]["profile"]["avatar"] == {"url": avatar["MEDIUM"]}
    assert files(media) == before


async def test_a_visitor_can_t(api: ApiFor, transactional_db: None, media: Path) -> None:
    answer = await (await api()).upload(SET_AVATAR, phone_jpeg())
    assert answer.codes == ["UNAUTHENTICATED"]
    assert files(media) == []


async def test_without_the_token_against_csrf(api: ApiFor, alice: User, media: Path) -> None:
    client = await api(alice)
    form = {
        "operations": json.dumps({"query": SET_AVATAR, "variables": {"image": None}}),
        "map": json.dumps({"file": ["variables.image"]}),
    }
    answer = await client.post("/graphql/", data=form, files={"file": ("me.jpg", phone_jpeg())})
    assert answer.status_code == 403
    assert Answer(answer).codes == ["FORBIDDEN"]
    assert files(media) == []


async def test_what_is_no_upload_is_refused(api: ApiFor, alice: User) -> None:
    client = await api(alice)
    for value in (None, "me.jpg", 1, ["me.jpg"], {"path": "me.jpg"}):
        assert (await client.ask(SET_AVATAR, image=value)).codes == ["BAD_USER_INPUT"], value


async def test_of_several_at_once_one_stays(api: ApiFor, alice: User, media: Path) -> None:
    client = await api(alice)
    await client.csrf_headers()
    avatars = await asyncio.gather(*(set_to(client, phone_jpeg()) for _ in range(5)))
    avatar = (await client.data(ME))["me"]["profile"]["avatar"]
    assert avatar["url"] in {one["MEDIUM"] for one in avatars}
    assert (await client.get(avatar["url"])).status_code == 200
    assert len(files(media)) == len(PIXELS)
