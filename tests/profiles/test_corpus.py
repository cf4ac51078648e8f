"""Every picture that a person has comes out right, and what is none is refused: by way of `setAvatar`."""

from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from apps.users.models import User
from tests.conftest import ApiFor
from tests.pictures import BLUE, GREEN, RED, WHITE
from tests.profiles.corpus import PICTURE, corpus

SET_AVATAR = """
mutation ($image: Upload!) {
  setAvatar(input: { image: $image }) {
    ... on Profile { avatar { url(size: SMALL) } }
    ... on OperationInfo { messages { field code message } }
  }
}
"""
NAMES = ["../../../etc/passwd", "a\0b.png", "x" * 5_000 + ".jpg", "🙂.png", "\"';--.png", "", "me.svg", "C:\\me.php"]


def looks_right(image: Image.Image) -> bool:
    near, far = image.width // 4, image.width * 3 // 4
    places = {(near, near): RED, (far, near): GREEN, (near, far): BLUE, (far, far): WHITE}
    picture = image.convert("RGB")
    return all(picture.getpixel(place) == pytest.approx(colour, abs=40) for place, colour in places.items())


async def test_it_works(api: ApiFor, alice: User, media: Path) -> None:
    client = await api(alice)
    for name, content, expected in corpus():
        answer = await client.upload(SET_AVATAR, content)
        assert answer.response.status_code == 200, name
        assert not answer.errors, (name, answer.errors)
        result = answer.data["setAvatar"]
        if expected == PICTURE:
            assert "avatar" in result, (name, result)
            shown = await client.get(result["avatar"]["url"])
            assert looks_right(Image.open(BytesIO(shown.content), formats=["WEBP"])), name
            assert not [path for path in media.rglob("*.webp") if b"secret" in path.read_bytes()], name
        else:
            assert "messages" in result, name
            assert [(one["field"], one["code"]) for one in result["messages"]] == [("image", expected)], name


@pytest.mark.parametrize("name", NAMES)
async def test_a_file_s_name_does_not_matter(api: ApiFor, alice: User, media: Path, name: str) -> None:
    picture = next(corpus())[1]
    answer = await (await api(alice)).upload(SET_AVATAR, picture, name)
    assert answer.response.status_code < 500
    kept = [path.name for path in media.rglob("*") if path.is_file()]
    assert sorted(kept) in ([], ["128.webp", "256.webp", "512.webp", "64.webp"])
