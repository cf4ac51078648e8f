"""Avatars as this site serves them itself, where the storage is the machine's own disk."""

from io import BytesIO
from pathlib import Path

from asgiref.sync import sync_to_async
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, default_storage
from PIL import Image
from pytest_django import Settings

from apps.profiles.models import Profile, avatar_file
from apps.profiles.services import set_avatar
from apps.users.models import User
from tests.conftest import ApiFor
from tests.pictures import phone_jpeg

NAME = "0" * 32


async def avatar_url(user: User, size: int = 128) -> str:
    profile = await sync_to_async(set_avatar)(user, ContentFile(phone_jpeg()))
    return profile.avatar_url(size)


async def test_it_works(api: ApiFor, alice: User, media: Path) -> None:
    url = await avatar_url(alice)
    assert url.startswith("/media/avatars/")
    answer = await (await api()).get(url)
    assert answer.status_code == 200
    assert answer.content == (media / url.removeprefix("/media/")).read_bytes()
    assert Image.open(BytesIO(answer.content)).size == (128, 128)


async def test_it_may_be_kept_for_ever_and_run_nothing(api: ApiFor, alice: User) -> None:
    headers = (await (await api()).get(await avatar_url(alice))).headers
    assert headers["content-type"] == "image/webp"
    assert headers["cache-control"] == "public, max-age=31536000, immutable"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"] == "sandbox; default-src 'none'"


async def test_what_may_be_kept_by_anybody_sets_no_cookie(api: ApiFor, alice: User) -> None:
    answer = await (await api(alice)).get(await avatar_url(alice))
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    assert "cookie" not in answer.headers.get("vary", "").lower()


async def test_one_that_does_not_exist(api: ApiFor, alice: User) -> None:
    url = await avatar_url(alice)
    client = await api()
    others = [url.replace("128", "100"), url.replace("webp", "jpg"), url.replace("webp", "WEBP"), url + "/"]
    for unknown in [f"/media/avatars/{NAME}/128.webp", *others]:
        answer = await client.get(unknown)
        assert answer.status_code == 404, unknown
        assert "immutable" not in answer.headers.get("cache-control", "")


async def test_nothing_else_is_served(api: ApiFor, transactional_db: None, media: Path) -> None:
    for file in (media / "secret.webp", media / "avatars/secret.webp", media.parent / "secret.webp"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("secret")
    client = await api()
    for path in (
        "/media/secret.webp",
        "/media/avatars/secret.webp",
        "/media/avatars/../secret.webp",
        "/media/avatars/%2e%2e/secret.webp",
        "/media/avatars/..%2fsecret.webp",
        f"/media/avatars/{NAME}/../../secret.webp",
        f"/media/avatars/{NAME}/%2e%2e/%2e%2e/secret.webp",
        f"/media/avatars/{NAME}/..%2f..%2fsecret.webp",
        f"/media/avatars/{NAME}/..%5c..%5csecret.webp",
        "/media/avatars/%2e%2e/%2e%2e/secret.webp",
        "/media//secret.webp",
        f"/media/avatars/{NAME}/64.webp%00",
        f"/media/avatars/{NAME}/64.webp%0a",
        f"/media/avatars/{NAME}/",
        "/media/avatars/",
        "/media/",
    ):
        answer = await client.get(path)
        assert answer.status_code == 404, path
        assert answer.text != "secret"


class ElsewhereStorage(FileSystemStorage):
    def url(self, name: str | None) -> str:
        return f"https://elsewhere.example.com/{name}?signed"


def test_the_address_is_what_the_storage_says(settings: Settings) -> None:
    profile = Profile(avatar=NAME)
    for url in ("/media/", "/files/of/users/", "https://cdn.example.com/"):
        settings.MEDIA_URL = url
        assert profile.avatar_url(64) == default_storage.url(avatar_file(NAME, 64)) == f"{url}avatars/{NAME}/64.webp"
    settings.STORAGES = settings.STORAGES | {"default": {"BACKEND": f"{__name__}.ElsewhereStorage"}}
    assert profile.avatar_url(64) == f"https://elsewhere.example.com/avatars/{NAME}/64.webp?signed"
