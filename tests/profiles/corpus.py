"""Pictures that people have, and files that attackers make: each with what has to come of it."""

import struct
import zlib
from collections.abc import Iterator
from io import BytesIO
from zipfile import ZipFile

from PIL import Image

from tests.pictures import HEIC, ORIENTATION, display_p3, encode, phone_jpeg, quadrants

type Entry = tuple[str, bytes, str]
"""A name, the file, and `picture` (the four colours at their places), `invalid_image` or `too_large`."""

PICTURE, INVALID, TOO_LARGE = "picture", "invalid_image", "too_large"
MEGABYTE = 1024 * 1024
SCRIPT = b"<script>alert(document.domain)</script>"


def corpus() -> Iterator[Entry]:
    yield from plain()
    yield from turned()
    yield from with_baggage()
    yield from moving()
    yield from sizes()
    yield from broken()
    yield from other_things()
    yield from polyglots()
    yield from bombs()


def plain() -> Iterator[Entry]:
    image = quadrants(240, 180)
    for kind in ("JPEG", "PNG", "WEBP", "GIF", "AVIF"):
        yield f"{kind} of colours", encode(image, kind), PICTURE
    yield "HEIC", HEIC, PICTURE
    yield "JPEG, progressive", encode(image, "JPEG", progressive=True), PICTURE
    yield "JPEG for print (CMYK)", encode(image.convert("CMYK"), "JPEG", quality=95), PICTURE
    yield "WebP without loss", encode(image, "WEBP", lossless=True), PICTURE
    yield "PNG with alpha", encode(image.convert("RGBA"), "PNG"), PICTURE
    yield "PNG with a palette", encode(image.quantize(8), "PNG"), PICTURE
    yield "PNG with a palette and alpha", encode(image.convert("RGBA").quantize(8), "PNG"), PICTURE
    yield "PNG of 16 bits", png_16_bits(image), PICTURE
    yield "PNG, interlaced", png(image.width, image.height, rows(image), interlaced=False), PICTURE
    yield "a phone's", phone_jpeg(), PICTURE


def turned() -> Iterator[Entry]:
    """What a file with this orientation has in its corners where the upright one is red, green, blue, white."""
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    for orientation in range(1, 9):
        image = quadrants(240, 180)
        exif = Image.Exif()
        exif[ORIENTATION] = orientation
        lying = image.transpose(undo[orientation]) if orientation in undo else image
        yield f"turned: {orientation}", encode(lying, "JPEG", exif=exif), PICTURE


def with_baggage() -> Iterator[Entry]:
    exif = Image.Exif()
    exif[0x0110] = "secret camera"
    exif.get_ifd(0x8825).update({1: "N", 2: (51.0, 45.0, 7.0), 3: "W", 4: (1.0, 15.0, 28.0)})
    baggage = {"exif": exif, "icc_profile": display_p3(), "xmp": b"<x:secret/>"}
    image = quadrants(240, 180)
    yield "place, profile, XMP, comment", encode(image, "JPEG", comment=b"secret comment", **baggage), PICTURE
    yield "WebP with all of it", encode(image, "WEBP", **baggage), PICTURE
    yield "a profile that is none", encode(image, "PNG", icc_profile=b"secret nonsense"), PICTURE
    yield "a grey one's profile on colours", encode(image, "JPEG", icc_profile=display_p3()[:200]), PICTURE


def moving() -> Iterator[Entry]:
    first = quadrants(64, 64)
    later = [Image.new("RGB", (64, 64), (number % 256, 0, 0)) for number in range(999)]
    for kind in ("GIF", "PNG", "WEBP"):
        content = encode(first, kind, save_all=True, append_images=later, duration=20)
        yield f"{kind} of 1,000 frames", content, PICTURE


def sizes() -> Iterator[Entry]:
    yield "1 x 1", encode(Image.new("RGB", (1, 1)), "PNG"), INVALID
    yield "31 x 200", encode(quadrants(31, 200), "PNG"), INVALID
    yield "32 x 12,000", encode(tall(12_000), "PNG"), PICTURE
    yield "32 x 12,001", encode(tall(12_001), "PNG"), TOO_LARGE
    yield "6 MiB", encode(quadrants(240, 180), "PNG").ljust(6 * MEGABYTE, b"\0"), TOO_LARGE


def tall(height: int) -> Image.Image:
    """The four colours in the middle, where a square is taken from."""
    image = Image.new("RGB", (32, height))
    image.paste(quadrants(32, 32), (0, height // 2 - 16))
    return image


def broken() -> Iterator[Entry]:
    yield "nothing", b"", INVALID
    noisy = Image.effect_noise((200, 200), 90).convert("RGB")
    for kind in ("JPEG", "PNG", "WEBP", "GIF", "AVIF"):
        content = encode(noisy, kind)
        for percent in (10, 50, 98):
            yield f"{percent} % of a {kind}", content[: len(content) * percent // 100], INVALID
    yield "half of a HEIC", HEIC[: len(HEIC) // 2], INVALID
    whole = encode(quadrants(240, 180), "PNG")
    at = whole.index(b"IDAT") + 20
    yield "PNG with a wrong checksum", whole[:at] + b"\xff" + whole[at + 1 :], INVALID
    yield "PNG without data", png(64, 64, b""), INVALID
    yield "PNG with an unknown critical chunk", whole[:33] + chunk(b"EVIL", b"secret") + whole[33:], PICTURE
    yield "PNG with a text that unpacks to 200 MB", whole[:33] + text_bomb() + whole[33:], INVALID


def other_things() -> Iterator[Entry]:
    yield "text", b"Just a text.", INVALID
    yield "SVG with a script", b"<svg xmlns='http://www.w3.org/2000/svg'>" + SCRIPT + b"</svg>", INVALID
    yield "HTML", b"<!doctype html>" + SCRIPT, INVALID
    yield "PDF", encode(quadrants(64, 64), "PDF"), INVALID
    yield "PostScript", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 64 64\n%%EndComments\n(ls) run\n", INVALID
    yield "Photoshop", b"8BPS\0\x01" + bytes(6) + struct.pack(">HIIHH", 3, 64, 64, 8, 3) + bytes(12_300), INVALID
    for kind in ("ICO", "TIFF", "BMP", "TGA", "PPM", "JPEG2000", "EPS"):
        yield kind, encode(quadrants(64, 64), kind), INVALID


def polyglots() -> Iterator[Entry]:
    """They are pictures, and what is kept of them is nothing else."""
    picture = encode(quadrants(240, 180), "JPEG")
    archive = BytesIO()
    with ZipFile(archive, "w") as file:
        file.writestr("secret.txt", "secret")
    yield "JPEG and ZIP", picture + archive.getvalue(), PICTURE
    yield "JPEG and HTML", picture + b"<html>secret" + SCRIPT, PICTURE
    yield "JPEG and JavaScript", encode(quadrants(240, 180), "JPEG", comment=b"*/=1;alert('secret')/*"), PICTURE
    yield "GIF and JavaScript", encode(quadrants(240, 180), "GIF", comment=b"*/=1;alert('secret')/*"), PICTURE


def bombs() -> Iterator[Entry]:
    nothing = zlib.compress(bytes(9_001 * 9_000 // 8), 9)
    yield "81 megapixels in 10 kB", png(9_000, 9_000, b"", packed=nothing, bits=1, colour=0), TOO_LARGE
    yield "65,500 x 65,500", png(65_500, 65_500, b""), TOO_LARGE
    yield "2,147,483,647 wide", png(2**31 - 1, 1, b""), TOO_LARGE
    huge = bytearray(encode(quadrants(64, 64), "JPEG"))
    frame = huge.index(b"\xff\xc0")
    huge[frame + 5 : frame + 9] = struct.pack(">HH", 65_500, 65_500)
    yield "JPEG that says 65,500 x 65,500", bytes(huge), TOO_LARGE


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def text_bomb() -> bytes:
    return chunk(b"zTXt", b"secret\0\0" + zlib.compress(bytes(200 * MEGABYTE), 9))


def png(
    width: int,
    height: int,
    pixels: bytes,
    *,
    packed: bytes = b"",
    bits: int = 8,
    colour: int = 2,
    interlaced: bool = False,
) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlaced))
    data = chunk(b"IDAT", packed or zlib.compress(pixels))
    return b"\x89PNG\r\n\x1a\n" + header + data + chunk(b"IEND", b"")


def rows(image: Image.Image) -> bytes:
    """Each with the filter that changes nothing."""
    content, length = image.tobytes(), image.width * 3
    return b"".join(b"\0" + content[start : start + length] for start in range(0, len(content), length))


def png_16_bits(image: Image.Image) -> bytes:
    content, length = b"".join(bytes([value, value]) for value in image.tobytes()), image.width * 6
    pixels = b"".join(b"\0" + content[start : start + length] for start in range(0, len(content), length))
    return png(image.width, image.height, pixels, bits=16)
