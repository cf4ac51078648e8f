from pathlib import Path

from asgiref.sync import sync_to_async
from django.core.files.base import ContentFile
from django.db import transaction

from apps.profiles.services import profile_of, remove_avatar, set_avatar
from apps.users.models import User
from tests.conftest import ApiFor, SocketFor
from tests.pictures import phone_jpeg

REMOVE = "mutation { removeAvatar { __typename ... on Profile { displayName avatar { url } } } }"
ME = "{ me { profile { avatar { url } } } }"


def give_avatar(user: User) -> None:
    set_avatar(user, ContentFile(phone_jpeg()))


def files(media: Path) -> list[Path]:
    return [path for path in media.rglob("*") if path.is_file()]


async def test_it_works(api: ApiFor, alice: User, media: Path) -> None:
    await sync_to_async(give_avatar)(alice)
    client = await api(alice)
    url = (await client.data(ME))["me"]["profile"]["avatar"]["url"]
    assert (await client.get(url)).status_code == 200

    answer = await client.data(REMOVE)

    assert answer["removeAvatar"] == {"__typename": "Profile", "displayName": "Alice", "avatar": None}
    assert await client.data(ME) == {"me": {"profile": {"avatar": None}}}
    assert (await client.get(url)).status_code == 404
    assert files(media) == []


async def test_somebody_else_s_stays(api: ApiFor, alice: User, bob: User, media: Path) -> None:
    for user in (alice, bob):
        await sync_to_async(give_avatar)(user)
    await (await api(alice)).data(REMOVE)
    assert (await (await api(bob)).data(ME))["me"]["profile"]["avatar"]
    assert len(files(media)) == 4


async def test_there_is_none(api: ApiFor, alice: User) -> None:
    answer = await (await api(alice)).data(REMOVE)
    assert answer["removeAvatar"] == {"__typename": "Profile", "displayName": "Alice", "avatar": None}


def test_after_a_rollback_it_is_still_there(alice: User, media: Path) -> None:
    give_avatar(alice)
    with transaction.atomic():
        remove_avatar(alice)
        transaction.set_rollback(True)
    assert profile_of(alice).avatar
    assert len(files(media)) == 4


async def test_a_visitor_can_t(api: ApiFor, transactional_db: None) -> None:
    assert (await (await api()).ask(REMOVE)).codes == ["UNAUTHENTICATED"]


async def test_over_a_websocket(socket: SocketFor, alice: User, media: Path) -> None:
    await sync_to_async(give_avatar)(alice)
    client = await socket(alice)
    await client.subscribe(REMOVE)
    assert (await client.next())["removeAvatar"]["avatar"] is None
    assert files(media) == []
