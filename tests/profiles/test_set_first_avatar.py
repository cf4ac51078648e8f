"""A picture that the user did not choose here."""

from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile

from apps.profiles import services
from apps.profiles.images import SIZES
from apps.profiles.services import lacks_avatar, profile_of, remove_avatar, set_avatar, set_first_avatar
from apps.users.models import User
from tests.pictures import encode, quadrants


def upload() -> ContentFile:
    return ContentFile(encode(quadrants(), "PNG"))


def files(media: Path) -> list[Path]:
    return [path for path in media.rglob("*") if path.is_file()]


def test_it_works(alice: User, media: Path) -> None:
    assert lacks_avatar(alice)
    assert set_first_avatar(alice, upload())
    assert profile_of(alice).avatar
    assert not lacks_avatar(alice)
    assert len(files(media)) == len(SIZES)


def test_it_takes_no_other_s_place(alice: User, media: Path) -> None:
    own = set_avatar(alice, upload()).avatar
    assert not set_first_avatar(alice, upload())
    assert profile_of(alice).avatar == own
    assert len(files(media)) == len(SIZES)


def test_who_took_it_away_wants_none(alice: User, media: Path) -> None:
    assert set_first_avatar(alice, upload())
    remove_avatar(alice)
    assert not lacks_avatar(alice)
    assert not set_first_avatar(alice, upload())
    assert files(media) == []


def test_who_sets_one_again_and_takes_it_away(alice: User) -> None:
    remove_avatar(alice)
    set_avatar(alice, upload())
    assert not profile_of(alice).avatar_removed
    remove_avatar(alice)
    assert not lacks_avatar(alice)


def test_one_s_own_that_comes_meanwhile_stays(alice: User, media: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = services.store_avatar

    def store_slowly(pictures: Any) -> str:
        monkeypatch.setattr(services, "store_avatar", store)
        set_avatar(alice, upload())
        return store(pictures)

    monkeypatch.setattr(services, "store_avatar", store_slowly)
    assert not set_first_avatar(alice, upload())
    assert not lacks_avatar(alice)
    assert len(files(media)) == len(SIZES)


def test_it_is_looked_at_like_any(alice: User) -> None:
    with pytest.raises(ValidationError):
        set_first_avatar(alice, ContentFile(b"<html>"))


def test_a_user_who_has_gone(alice: User, media: Path) -> None:
    User.objects.filter(pk=alice.pk).delete()
    assert not set_first_avatar(alice, upload())
    assert files(media) == []
