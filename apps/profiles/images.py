"""From whatever picture a person has to the squares that a page shows: bytes in, bytes out. Pure and synchronous."""

from io import BytesIO
from typing import IO

from PIL import Image, ImageDraw, ImageOps

SIZES = (64, 128, 256, 512)
"""Pixels a side."""

FORMATS = ("JPEG", "PNG", "WEBP", "GIF")
MAX_PIXELS = 24_000_000
QUALITY = 82


class InvalidImage(ValueError):
    """Not a picture in one of `FORMATS`, or a damaged one."""


class TooManyPixels(InvalidImage):
    """More than `MAX_PIXELS`."""


def squares(file: IO[bytes]) -> dict[int, bytes]:
    """The picture upright and cropped to its central square, as WebP, for each of `SIZES`.

    A picture smaller than a size is not enlarged. Nothing of the original's metadata (camera, place, thumbnail) is
    kept. Raises `InvalidImage`.
    """
    try:
        with Image.open(file, formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise TooManyPixels(f"{image.width} x {image.height} pixels")
            image.draft("RGB", (2 * SIZES[-1], 2 * SIZES[-1]))  # let a JPEG decode at a fraction of its size
            upright = ImageOps.exif_transpose(image)
            if upright.mode == "I;16":  # grey of 16 bits, which `convert` would cut off at 255
                upright = upright.point(lambda value: value / 256).convert("L")
            picture = upright.convert("RGBA" if upright.has_transparency_data else "RGB")
    except InvalidImage:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:  # Pillow's own, higher limit
        raise TooManyPixels(str(error)) from error
    except Exception as error:  # decoders raise whatever they like on broken input
        raise InvalidImage(str(error)) from error
    side = min(picture.size)
    return {size: _encode(ImageOps.fit(picture, (min(size, side),) * 2, Image.Resampling.LANCZOS)) for size in SIZES}


def _encode(image: Image.Image) -> bytes:
    buffer = BytesIO()
    image.save(buffer, "WEBP", quality=QUALITY, exif=b"", icc_profile=b"", xmp=b"")
    return buffer.getvalue()


def portrait(hue: int) -> IO[bytes]:
    """A drawn face on a ground of that hue (0 to 255), as a PNG: for users who are made by a program."""
    size = 2 * SIZES[-1]
    shade = Image.linear_gradient("L").resize((size, size)).point(lambda value: 255 - value // 3)
    image = Image.merge("HSV", (Image.new("L", shade.size, hue), Image.new("L", shade.size, 120), shade)).convert("RGB")
    draw = ImageDraw.Draw(image)
    draw.circle((size / 2, size * 0.38), size * 0.16, fill="white")
    draw.circle((size / 2, size * 0.95), size * 0.32, fill="white")
    file = BytesIO()
    image.save(file, "PNG")
    file.seek(0)
    return file
