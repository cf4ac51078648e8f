"""`images.squares`: bytes in, square pictures out."""

import struct
import zlib
from contextlib import suppress
from io import BytesIO

import pytest
from PIL import Image, ImageFilter

from apps.profiles.images import MAX_PIXELS, SIZES, ImageTooLarge, ImageTooSmall, InvalidImage, squares
from tests.pictures import BLUE, GREEN, HEIC, ORIENTATION, RED, WHITE, display_p3, encode, quadrants

COLOURS = {"R": RED, "G": GREEN, "B": BLUE, "W": WHITE}


def made(content: bytes) -> dict[int, Image.Image]:
    """The pictures, decoded."""
    return {size: Image.open(BytesIO(square), formats=["WEBP"]) for size, square in squares(BytesIO(content)).items()}


def corners(image: Image.Image) -> str:
    """The letters of the colours top left, top right, bottom left, bottom right."""
    quarter, rest = image.width // 4, image.width - image.width // 4
    return "".join(nearest(image, x, y) for y in (quarter, rest) for x in (quarter, rest))


def nearest(image: Image.Image, x: int, y: int) -> str:
    pixel = image.convert("RGB").getpixel((x, y))
    assert isinstance(pixel, tuple)
    [letter] = [
        letter
        for letter, colour in COLOURS.items()
        if all(abs(seen - meant) < 40 for seen, meant in zip(pixel, colour, strict=True))
    ]
    return letter


def test_it_works() -> None:
    pictures = made(encode(quadrants(), "JPEG"))
    assert tuple(pictures) == SIZES == (64, 128, 256, 512)
    for size, picture in pictures.items():
        assert picture.format == "WEBP"
        assert picture.size == (size, size)
        assert corners(picture) == "RGBW"


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "AVIF"])
def test_a_format(format: str) -> None:
    assert corners(made(encode(quadrants(), format))[512]) == "RGBW"


def test_what_an_iphone_saves() -> None:
    assert corners(made(HEIC)[64]) == "RGBW"


@pytest.mark.parametrize("format", ["TIFF", "BMP", "ICO", "PPM", "TGA", "PDF", "EPS", "JPEG2000"])
def test_another_format_is_refused(format: str) -> None:
    with pytest.raises(InvalidImage):
        squares(BytesIO(encode(quadrants(64, 64), format)))


# What a file whose Exif orientation is this has in its four corners, where the upright picture is "RGBW". The Exif
# standard says it by the sides that the first row and the first column are: 6, for one, is "right, top".
LYING = {1: "RGBW", 2: "GRWB", 3: "WBGR", 4: "BWRG", 5: "RBGW", 6: "GWRB", 7: "WGBR", 8: "BRWG"}


@pytest.mark.parametrize(("orientation", "lying"), LYING.items())
@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_it_is_turned_upright(format: str, orientation: int, lying: str) -> None:
    image = Image.new("RGB", (600, 400))
    for letter, place in zip(lying, [(0, 0), (300, 0), (0, 200), (300, 200)], strict=True):
        image.paste(COLOURS[letter], (*place, place[0] + 300, place[1] + 200))
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    assert corners(made(encode(image, format, exif=exif))[256]) == "RGBW"


@pytest.mark.parametrize("size", [(1200, 400), (400, 1200)])
def test_it_is_the_middle(size: tuple[int, int]) -> None:
    image = Image.new("RGB", size, RED)
    image.paste(GREEN, ((size[0] - 400) // 2, (size[1] - 400) // 2, (size[0] + 400) // 2, (size[1] + 400) // 2))
    assert corners(made(encode(image, "PNG"))[256]) == "GGGG"


def test_a_small_one_is_not_enlarged() -> None:
    pictures = made(encode(quadrants(300, 200), "PNG"))
    assert [picture.size for picture in pictures.values()] == [(64, 64), (128, 128), (200, 200), (200, 200)]


@pytest.mark.parametrize("size", [(1, 1), (2000, 31), (31, 2000)])
def test_a_tiny_one_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ImageTooSmall):
        squares(BytesIO(encode(Image.new("RGB", size, RED), "PNG")))


@pytest.mark.parametrize("size", [(32, 32), (32, 12_000), (2_000, 12_000)])
def test_the_smallest_and_the_longest(size: tuple[int, int]) -> None:
    side = min(*size, 512)
    assert made(encode(Image.new("RGB", size, RED), "PNG"))[512].size == (side, side)


@pytest.mark.parametrize("size", [(32, 12_001), (12_001, 1)])
def test_one_that_is_too_long_is_refused(size: tuple[int, int]) -> None:
    with pytest.raises(ImageTooLarge):
        squares(BytesIO(encode(Image.new("L", size), "PNG")))


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_what_is_transparent_stays_so(mode: str) -> None:
    image = Image.new("RGBA", (600, 600), (*WHITE, 255))
    image.paste((0, 0, 0, 0), (0, 0, 300, 600))
    assert halves(made(encode(image.convert(mode), "PNG"))[128]) == ("transparent", "opaque")


@pytest.mark.parametrize("format", ["PNG", "GIF"])
def test_a_palette_with_a_transparent_colour(format: str) -> None:
    image = Image.new("P", (600, 600), 1)
    image.putpalette([0, 0, 0, *GREEN])
    image.paste(0, (0, 0, 300, 600))
    picture = made(encode(image, format, transparency=0))[128]
    assert halves(picture) == ("transparent", "opaque")
    assert nearest(picture, 96, 64) == "G"


def test_a_palette_with_many_alphas() -> None:
    image = quadrants().convert("RGBA").quantize(16)
    assert corners(made(encode(image, "PNG"))[256]) == "RGBW"


def halves(image: Image.Image) -> tuple[str, str]:
    """Left and right."""
    alpha = image.convert("RGBA").getchannel("A")
    low, high = alpha.getpixel((image.width // 4, 64)), alpha.getpixel((3 * image.width // 4, 64))
    names = {0: "transparent", 255: "opaque"}
    assert isinstance(low, int)
    assert isinstance(high, int)
    return names[low], names[high]


def test_the_colours_of_a_print() -> None:
    assert corners(made(encode(quadrants().convert("CMYK"), "JPEG", quality=95))[256]) == "RGBW"


def test_the_colours_of_a_phone_s_screen() -> None:
    """Display P3 is wider than sRGB: the same numbers there are stronger colours here."""
    linear = [(value / 255) ** 2.2 for value in (200, 100, 100)]
    to_srgb = [(1.22494, -0.22494, 0.0), (-0.04206, 1.04206, 0.0), (-0.01964, -0.07864, 1.09828)]
    mixed = [sum(weight * value for weight, value in zip(row, linear, strict=True)) for row in to_srgb]
    expected = [round(255 * (1.055 * value ** (1 / 2.4) - 0.055)) for value in mixed]
    image = Image.new("RGB", (200, 200), (200, 100, 100))
    for kind in ("JPEG", "PNG", "WEBP"):
        picture = made(encode(image, kind, icc_profile=display_p3()))[64].convert("RGB")
        assert picture.getpixel((32, 32)) == pytest.approx(expected, abs=4)
    transparent = made(encode(image.convert("RGBA"), "PNG", icc_profile=display_p3()))[64]
    assert transparent.convert("RGB").getpixel((32, 32)) == pytest.approx(expected, abs=4)


def test_a_photo_stays_small() -> None:
    photo = Image.effect_noise((1_600, 1_200), 80).convert("RGB").filter(ImageFilter.GaussianBlur(1))
    assert len(squares(BytesIO(encode(photo, "JPEG")))[512]) < 60_000


@pytest.mark.parametrize("mode", ["L", "1", "I;16"])
def test_grey(mode: str) -> None:
    white, black = (65535, 0) if mode == "I;16" else (255, 0)
    image = Image.new(mode, (600, 600), white)
    image.paste(black, (0, 0, 300, 600))
    picture = made(encode(image, "PNG"))[128].convert("L")
    assert picture.getpixel((96, 64)) == pytest.approx(255, abs=8)
    assert picture.getpixel((32, 64)) == pytest.approx(0, abs=8)


def test_grey_of_sixteen_bits_keeps_its_shades() -> None:
    image = Image.new("I;16", (600, 600), 0x8000)
    assert made(encode(image, "PNG"))[128].convert("L").getpixel((64, 64)) == pytest.approx(128, abs=8)


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG"])
def test_of_a_moving_one_the_first_moment(format: str) -> None:
    later = [Image.new("RGB", (600, 600), RED) for _ in range(3)]
    pictures = made(encode(quadrants(600, 600), format, save_all=True, append_images=later, duration=100))
    assert corners(pictures[256]) == "RGBW"
    assert not getattr(pictures[256], "is_animated", False)


def test_a_phone_s_file_of_several_pictures() -> None:
    """Many cameras append others to a JPEG, a preview or the other eye's view."""
    content = encode(quadrants(), "MPO", save_all=True, append_images=[Image.new("RGB", (600, 600), RED)])
    assert corners(made(content)[256]) == "RGBW"


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_nothing_of_its_metadata_is_kept(format: str) -> None:
    exif = Image.Exif()
    exif[0x010E] = "secret description"
    exif[0x0110] = "secret camera"
    exif.get_ifd(0x8825).update({1: "N", 2: (51.0, 45.0, 7.0), 3: "W", 4: (1.0, 15.0, 28.0)})
    options = {"comment": b"secret comment"} if format == "JPEG" else {}
    content = encode(quadrants(), format, exif=exif, icc_profile=b"secret profile", xmp=b"<x:secret/>", **options)
    assert b"secret" in content
    for size, square in squares(BytesIO(content)).items():
        assert b"secret" not in square
        picture = Image.open(BytesIO(square))
        assert not picture.getexif(), size
        assert not {"exif", "icc_profile", "xmp", "comment"} & {name for name, value in picture.info.items() if value}


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF"])
@pytest.mark.parametrize("part", [0.01, 0.5, 0.9])
def test_a_file_that_breaks_off_is_refused(format: str, part: float) -> None:
    content = encode(noise(), format)
    with pytest.raises(InvalidImage):
        squares(BytesIO(content[: int(len(content) * part)]))


@pytest.mark.parametrize("format", ["PNG", "WEBP", "GIF"])
def test_a_file_with_a_hole_is_refused_or_read(format: str) -> None:
    """Never another exception: not all formats have a checksum."""
    content = encode(noise(), format)
    for start in range(0, len(content) - 40, len(content) // 30):
        broken = content[:start] + b"\xff" * 40 + content[start + 40 :]
        with suppress(InvalidImage):
            assert len(squares(BytesIO(broken))) == len(SIZES)


def noise() -> Image.Image:
    """Hard to compress, so that a file's parts are all of its picture."""
    return Image.effect_noise((200, 200), 90).convert("RGB")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"Just a text.",
        b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
        b"<!doctype html><script>alert(1)</script>",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff\xe0" + b"\x00" * 100,
        b"GIF89a",
        b"RIFF\x00\x00\x00\x00WEBPVP8 ",
        b"\x00" * 1000,
    ],
)
def test_what_is_no_picture_is_refused(content: bytes) -> None:
    with pytest.raises(InvalidImage):
        squares(BytesIO(content))


def bomb(width: int, height: int) -> bytes:
    """A PNG that says it is so large, and holds next to nothing."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "size", [(4000, 6001), (MAX_PIXELS + 1, 1), (10_000, 8_100), (65_500, 65_500), (2**31 - 1, 2**31 - 1)]
)
def test_more_than_24_megapixels_are_refused_undecoded(size: tuple[int, int]) -> None:
    with pytest.raises(ImageTooLarge):
        squares(BytesIO(bomb(*size)))


@pytest.mark.parametrize("format", ["JPEG", "GIF"])
def test_24_megapixels_are_not_too_many(format: str) -> None:
    image = Image.new("L", (6000, 4000), 255)
    assert image.width * image.height == MAX_PIXELS
    assert made(encode(image, format))[512].size == (512, 512)
    with pytest.raises(ImageTooLarge):
        squares(BytesIO(encode(Image.new("L", (6000, 4001), 255), format)))
