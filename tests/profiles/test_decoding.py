"""A picture is decoded by a process of its own, which can be ended."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.core.exceptions import ValidationError
from django.core.files.base import ContentFile
from django.db import connection
from PIL import Image

from apps.profiles import decoding
from apps.profiles.images import ImageTooLarge, ImageTooSmall, InvalidImage
from apps.profiles.services import set_avatar
from apps.users.models import User
from tests.pictures import encode, phone_jpeg, quadrants


def test_it_works(db: None) -> None:
    assert list(decoding.squares(phone_jpeg())) == [64, 128, 256, 512]


@pytest.mark.parametrize(
    ("content", "refusal"),
    [
        (b"Just a text.", InvalidImage),
        (encode(Image.new("L", (6_000, 4_001)), "PNG"), ImageTooLarge),
        (encode(Image.new("L", (10, 10)), "PNG"), ImageTooSmall),
    ],
)
def test_a_refusal_comes_through(db: None, content: bytes, refusal: type[InvalidImage]) -> None:
    with pytest.raises(InvalidImage) as caught:
        decoding.squares(content)
    assert caught.type is refusal


def large() -> bytes:
    return encode(Image.linear_gradient("L").resize((6_000, 4_000)).convert("RGBA"), "PNG", compress_level=1)


def test_one_that_takes_too_much_memory(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "MEMORY", 150 << 20)
    with pytest.raises(InvalidImage):
        decoding.squares(large())
    assert decoding.squares(encode(quadrants(), "JPEG"))  # an ordinary one needs less


def test_one_that_takes_too_long(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "SECONDS", 0)
    with pytest.raises(InvalidImage):
        decoding.squares(large())


def test_one_at_which_the_decoder_crashes(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "WORKER", ["-c", "import os; os.abort()"])
    with pytest.raises(InvalidImage):
        decoding.squares(phone_jpeg())


@pytest.mark.parametrize("output", ["", "x", "\\0\\0\\0\\x04RIFF", "\\xff\\xff\\xff\\xff" * 9])
def test_what_it_answers_is_not_believed(db: None, monkeypatch: pytest.MonkeyPatch, output: str) -> None:
    """It has read a stranger's file; who knows what has become of it."""
    monkeypatch.setattr(decoding, "WORKER", ["-c", f"import sys; sys.stdout.buffer.write(b'{output}')"])
    with pytest.raises(InvalidImage):
        decoding.squares(phone_jpeg())


def test_it_has_no_secrets(db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "x")
    monkeypatch.setattr(decoding, "WORKER", ["-c", "import os; assert 'SECRET_KEY' in os.environ"])
    with pytest.raises(InvalidImage):
        decoding.squares(phone_jpeg())


def test_as_many_at_once_as_there_are_processors(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> None:
    running, most, lock = 0, 0, threading.Lock()
    run: Callable[[bytes], dict[int, bytes]] = decoding._run

    def counted(content: bytes) -> dict[int, bytes]:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        try:
            return run(content)
        finally:
            with lock:
                running -= 1

    monkeypatch.setattr(decoding, "_run", counted)
    with ThreadPoolExecutor(8) as pool:
        assert len(list(pool.map(decoding.squares, [phone_jpeg()] * 8))) == 8
    assert most <= decoding.AT_ONCE


def test_who_waits_in_vain_is_told(alice: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "_turn", threading.BoundedSemaphore(1))
    monkeypatch.setattr(decoding, "WAIT_SECONDS", 0)
    with decoding._turn, pytest.raises(ValidationError) as caught:
        set_avatar(alice, ContentFile(phone_jpeg()))
    assert caught.value.error_dict["image"][0].code == "busy"


def test_who_waits_keeps_no_connection(alice: User) -> None:
    assert connection.connection is not None
    decoding.squares(phone_jpeg())
    assert connection.connection is None
