"""Whatever is done to a picture's bytes, it is read or refused, and nothing else."""

import random
from collections.abc import Iterator
from io import BytesIO

from apps.profiles.images import SIZES, InvalidImage, squares
from tests.pictures import HEIC, encode, quadrants

COUNT = 2_000


def seeds() -> list[bytes]:
    image = quadrants(48, 40)
    return [HEIC, *(encode(image, kind) for kind in ("JPEG", "PNG", "WEBP", "GIF", "AVIF"))]


def mutated(generator: random.Random) -> Iterator[bytes]:
    originals = seeds()
    for _ in range(COUNT):
        content = bytearray(generator.choice(originals))
        for _change in range(generator.choice((1, 2, 8, 64))):
            at = generator.randrange(len(content))
            match generator.randrange(5):
                case 0:
                    content[at] = generator.randrange(256)
                case 1:
                    content[at : at + 4] = generator.choice((b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff"))
                case 2:
                    del content[at : at + generator.randrange(1, 32)]
                case 3:
                    content[at:at] = generator.randbytes(generator.randrange(1, 32))
                case 4:
                    content[at:at] = generator.choice(originals)[: generator.randrange(1, 200)]
            if not content:
                break
        yield bytes(content)


def test_it_works() -> None:
    read = refused = 0
    for content in mutated(random.Random(2026)):
        try:
            pictures = squares(BytesIO(content))
        except InvalidImage:
            refused += 1
        else:
            assert tuple(pictures) == SIZES
            read += 1
    assert read + refused == COUNT
    assert min(read, refused) > COUNT // 20  # neither all nor nothing: the changes are neither too gross nor too fine
