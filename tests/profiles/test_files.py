"""Which files a picture leaves, whatever happens to it."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.files.base import ContentFile
from django.core.management import call_command
from django.db import transaction

from apps.profiles import services
from apps.profiles.services import profile_of, remove_avatar, set_avatar
from apps.users.models import User
from tests.pictures import phone_jpeg
from tests.processes import ROOT, environment

CRASH = """
import os, sys
import django
django.setup()
from django.core.files.base import ContentFile
from apps.profiles import services
from apps.users.models import User

save = services.Profile.save
def crash(*arguments, **options):
    save(*arguments, **options)
    os._exit(9)
services.Profile.save = crash
services.set_avatar(User.objects.get(), ContentFile(sys.stdin.buffer.read()))
"""


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "UPLOAD_TIME", timedelta(0))


def pictures(media: Path) -> set[str]:
    """The names of those whose four files are there."""
    folders = set((media / "avatars").iterdir()) if (media / "avatars").exists() else set()
    for folder in folders:
        assert sorted(path.name for path in folder.iterdir()) == ["128.webp", "256.webp", "512.webp", "64.webp"]
    return {folder.name for folder in folders}


def current(user: User) -> set[str]:
    return {profile_of(user).avatar} - {""}


def crash_while_setting(content: bytes) -> None:
    """A process that dies between its files and its commit."""
    done = subprocess.run([sys.executable, "-c", CRASH], input=content, cwd=ROOT, env=environment(), timeout=60)
    assert done.returncode == 9


def test_it_works(alice: User, bob: User, media: Path) -> None:
    bob.delete()
    seen = set()
    for _ in range(10):
        set_avatar(alice, ContentFile(phone_jpeg()))
        assert pictures(media) == current(alice)
        seen |= current(alice)
    assert len(seen) == 10

    before = current(alice)
    with transaction.atomic():
        set_avatar(alice, ContentFile(phone_jpeg()))
        transaction.set_rollback(True)
    assert current(alice) == before < pictures(media)
    call_command("purge_avatars")
    assert pictures(media) == before

    crash_while_setting(phone_jpeg())
    assert current(alice) == before < pictures(media)
    call_command("purge_avatars")
    assert pictures(media) == before

    alice.delete()
    assert pictures(media) == set()


def test_a_picture_that_is_removed(alice: User, media: Path) -> None:
    set_avatar(alice, ContentFile(phone_jpeg()))
    remove_avatar(alice)
    assert pictures(media) == set()


def test_an_upload_that_the_storage_refuses(alice: User, media: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    set_avatar(alice, ContentFile(phone_jpeg()))
    before = current(alice)
    save = services.default_storage.save

    def full(name: str, content: ContentFile) -> str:
        if name.endswith("256.webp"):
            raise OSError(28, "No space left on device")
        return save(name, content)

    monkeypatch.setattr(services.default_storage, "save", full)
    with pytest.raises(OSError, match="No space left"):
        set_avatar(alice, ContentFile(phone_jpeg()))
    assert pictures(media) == current(alice) == before


def test_purging_names_what_it_would_delete(alice: User, media: Path, capsys: pytest.CaptureFixture[str]) -> None:
    set_avatar(alice, ContentFile(phone_jpeg()))
    profile = profile_of(alice)
    orphan = profile.avatar
    profile.avatar = ""
    profile.save()
    call_command("purge_avatars", "--dry-run")
    assert capsys.readouterr().out == f"{orphan}\n1 would be deleted.\n"
    assert pictures(media) == {orphan}


def test_purging_leaves_what_is_being_uploaded(alice: User, media: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "UPLOAD_TIME", timedelta(hours=1))
    young, old = services.store_avatar({64: b"x"}), services.store_avatar({64: b"x"})
    two_hours_ago = (media / "avatars" / old).stat().st_mtime - 7200
    os.utime(media / "avatars" / old / "64.webp", (two_hours_ago, two_hours_ago))
    call_command("purge_avatars")
    assert [folder.name for folder in (media / "avatars").iterdir()] == [young]


def test_purging_where_nobody_has_a_picture(transactional_db: None, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("purge_avatars")
    assert capsys.readouterr().out == "0 were deleted.\n"
