"""From whatever picture a person has to the squares that a page shows: bytes in, bytes out. Pure and synchronous.

Run it by way of `decoding.py`, which gives each picture a process that can be ended: decoders are large, written in C,
and fed by strangers.
"""

from io import BytesIO
from typing import IO

from pi_heif import register_heif_opener
from PIL import AvifImagePlugin, Image, ImageCms, ImageDraw, ImageOps

SIZES = (64, 128, 256, 512)
"""Pixels a side."""

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "AVIF", "HEIF")
MAX_PIXELS = 24_000_000
MIN_SIDE, MAX_SIDE = 32, 12_000
MAX_ENCODED = 60_000
"""Bytes that one square should stay below. What is hard to compress loses quality for it, down to the last of these."""
QUALITIES = (82, 72, 60, 45)

# One thread for each picture: as many are decoded at once as there are processors.
AvifImagePlugin.DEFAULT_MAX_THREADS = 1
register_heif_opener(thumbnails=False, decode_threads=1)  # what iPhones save; Pillow itself does not decode it

SRGB = ImageCms.createProfile("sRGB")


class InvalidImage(ValueError):
    """Not a picture in one of `FORMATS`, or a damaged one."""


class ImageTooLarge(InvalidImage):
    """More than `MAX_PIXELS`, or a side longer than `MAX_SIDE`."""


class ImageTooSmall(InvalidImage):
    """A side shorter than `MIN_SIDE`."""


def squares(file: IO[bytes]) -> dict[int, bytes]:
    """The picture upright, in sRGB and cropped to its central square, as WebP, for each of `SIZES`.

    A picture smaller than a size is not enlarged. Of one that moves it is the first frame. Nothing else of the original
    is kept: no camera, place, thumbnail or comment. Its dimensions are looked at before it is decoded. Raises
    `InvalidImage`.
    """
    try:
        with Image.open(file, formats=FORMATS) as image:
            _check(image.size)
            picture = _largest_square(image)
    except InvalidImage:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:  # Pillow's own, higher limit
        raise ImageTooLarge(str(error)) from error
    except Exception as error:  # decoders raise whatever they like on broken input
        raise InvalidImage(str(error)) from error
    return {size: _encode(_resized(picture, size)) for size in SIZES}


def _check(size: tuple[int, int]) -> None:
    if size[0] * size[1] > MAX_PIXELS or max(size) > MAX_SIDE:
        raise ImageTooLarge(f"{size[0]} x {size[1]} pixels")
    if min(size) < MIN_SIDE:
        raise ImageTooSmall(f"{size[0]} x {size[1]} pixels")


def _largest_square(image: Image.Image) -> Image.Image:
    """Shrunk first, so that all that follows works on few pixels."""
    profile = image.info.get("icc_profile")
    image.draft(None, (SIZES[-1], SIZES[-1]))  # a JPEG is decoded at a fraction of its size
    side = min(image.size)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    square = _resizable(image).resize(
        (min(side, SIZES[-1]),) * 2,
        Image.Resampling.LANCZOS,
        box=(left, top, left + side, top + side),
        reducing_gap=3.0,
    )
    ImageOps.exif_transpose(square, in_place=True)
    return _in_srgb(square, profile)


def _resizable(image: Image.Image) -> Image.Image:
    """In a mode whose values may be mixed with their neighbours': not a palette's numbers."""
    if image.mode.startswith("I"):  # grey of 16 bits, which `convert` would cut off at 255
        return image.point(lambda value: value / 256).convert("L")
    if image.mode in {"LA", "RGBA"} or (image.mode in {"L", "RGB", "CMYK"} and not image.has_transparency_data):
        return image
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def _in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """As a screen shows it: phones save Display P3, printers CMYK, and WebP without a profile means sRGB."""
    if profile:
        try:
            return _converted(image, ImageCms.ImageCmsProfile(BytesIO(profile)))
        except (ImageCms.PyCMSError, OSError, ValueError):
            pass  # not one, or not one for such an image
    return image.convert("RGBA" if image.has_transparency_data else "RGB")


def _converted(image: Image.Image, profile: ImageCms.ImageCmsProfile) -> Image.Image:
    alpha = image.getchannel("A") if "A" in image.getbands() else None
    colours = image.convert({"LA": "L", "RGBA": "RGB"}.get(image.mode, image.mode))
    transform = ImageCms.buildTransform(
        profile,
        SRGB,
        colours.mode,
        "RGB",
        ImageCms.Intent.RELATIVE_COLORIMETRIC,
        ImageCms.Flags.BLACKPOINTCOMPENSATION,
    )
    converted = transform.apply(colours)
    if alpha is not None:
        converted.putalpha(alpha)
    return converted


def _resized(picture: Image.Image, size: int) -> Image.Image:
    return picture if picture.width <= size else picture.resize((size, size), Image.Resampling.LANCZOS)


def _encode(image: Image.Image) -> bytes:
    for quality in QUALITIES:
        buffer = BytesIO()
        image.save(buffer, "WEBP", quality=quality, exif=b"", icc_profile=b"", xmp=b"")
        if buffer.tell() <= MAX_ENCODED:
            break
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
