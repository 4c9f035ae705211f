"""Opening one image file as a viewer shows it: upright, on white, in RGB with 8 bits a channel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import ExifTags, Image, ImageChops

from vlrouting.data.example import DataError

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation -> what makes the image upright. `ImageOps.exif_transpose` would also rewrite the other tags, which
fails where one of them is damaged."""
_PHOTOMETRIC, _WHITE_IS_ZERO = 262, 0
"""TIFF's tag, and its value where Pillow inverts images of 8 bits alone."""
_SIXTEEN_BITS = ("PNG", "PPM")
"""Formats whose images in Pillow's mode I have 16 bits; in others they have 32, which no viewer shows alike."""
_RESTORE = "restore this file from the image archive"


def load_image(path: Path) -> Image.Image:
    """The whole image in RGB, as a viewer shows it; of an animation the first frame.

    EXIF orientation is applied, transparency is put on white, 16 bits become 8, numbers from 0 to 1 become 0 to 255.
    Colour profiles are not applied, as in the pipelines that vision encoders were trained with.

    Raises:
        DataError: there is no such file, it is no image, cut short, too large, or of a kind that is not shown alike
            everywhere; names path and remedy.
    """
    try:
        with Image.open(path) as image:
            image.load()
            return _as_shown(_upright(image, _orientation(image)), image, path)
    except DataError:
        raise
    except FileNotFoundError as error:
        what = "the image is missing" if path.parent.is_dir() else f"the folder {path.parent} is missing"
        raise DataError(f"{path}: {what}; unpack the image archive again, or correct data.root") from error
    except PermissionError as error:
        raise DataError(f"{path}: the image may not be read; correct its permissions") from error
    except Image.DecompressionBombError as error:
        most = 2 * (Image.MAX_IMAGE_PIXELS or 0)
        raise DataError(f"{path}: claims to have more than {most:,} pixels; {_RESTORE}, or scale it down") from error
    except MemoryError:
        raise
    except Exception as error:  # Pillow's readers raise anything for a damaged file
        what = " ".join(str(error).split()) or type(error).__name__
        raise DataError(f"{path}: no image, or a truncated or damaged one ({what}); {_RESTORE}") from error


def shown(image: Image.Image) -> Image.Image:
    """An opened image as `load_image` gives it.

    Raises:
        DataError: it is truncated, or of a kind that has no one rendering in RGB.
    """
    try:
        return _as_shown(_upright(image, _orientation(image)), image, Path(f"<image {image.width} x {image.height}>"))
    except (OSError, SyntaxError) as error:  # a file that PIL reads only now
        raise DataError(f"the image cannot be read ({error})") from error


def _orientation(image: Image.Image) -> int:
    """The EXIF orientation; 1, which is upright, where the tags are damaged."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:
        return 1


def _upright(image: Image.Image, orientation: int) -> Image.Image:
    turn = _UPRIGHT.get(orientation)
    return image if turn is None else image.transpose(turn)


def _as_shown(image: Image.Image, opened: Image.Image, path: Path) -> Image.Image:
    """RGB of an upright image; `opened` knows the file's format and tags."""
    if image.mode.startswith("I;16") or (image.mode == "I" and opened.format in _SIXTEEN_BITS):
        return _gray(np.asarray(image.convert("I")) / 65535, opened)
    if image.mode == "F":
        numbers = np.asarray(image)
        if not (numbers.min() >= 0 and numbers.max() <= 1):
            found = f"from {numbers.min():g} to {numbers.max():g}"
            raise DataError(f"{path}: its floating-point numbers go {found}, not from 0 to 1; save it with 8 bits")
        return _gray(numbers, opened)
    if image.mode == "CMYK" and opened.format == "JPEG" and "adobe" not in opened.info:
        image = ImageChops.invert(image)  # Pillow takes every JPEG in CMYK for one of Adobe's, which are inverted
    if image.mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    if image.mode in ("1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr", "HSV"):
        return image.convert("RGB")
    raise DataError(f"{path}: its colours (Pillow's mode {image.mode}) are not shown alike everywhere; save it in RGB")


def _gray(brightness: np.ndarray, opened: Image.Image) -> Image.Image:
    """A gray image of numbers from 0 (black) to 1, where the file does not say otherwise."""
    if getattr(opened, "tag_v2", {}).get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        brightness = 1 - brightness
    transparent = opened.info.get("transparency")
    gray = np.rint(brightness * 255).astype(np.uint8)
    if isinstance(transparent, int):
        gray[np.rint(brightness * 65535) == transparent] = 255
    return Image.fromarray(gray).convert("RGB")
