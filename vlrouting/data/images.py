"""Opening one image file."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

from PIL import Image

from vlrouting.data.example import DataError

_BROKEN = (OSError, SyntaxError, ValueError, EOFError, struct.error, zlib.error, Image.DecompressionBombError)
"""What Pillow raises for broken files: its PNG reader a SyntaxError, for instance."""


def load_image(path: Path) -> Image.Image:
    """The whole image, decoded, in RGB: COCO has gray ones, other sets palettes and transparency.

    Raises:
        DataError: there is no such file, it is no image, or it is cut short; names path and remedy.
    """
    try:
        with Image.open(path) as image:
            rgb: Image.Image = image.convert("RGB")
            return rgb
    except FileNotFoundError as error:
        what = "the image is missing" if path.parent.is_dir() else f"the folder {path.parent} is missing"
        raise DataError(f"{path}: {what}; unpack the image archive again, or correct data.root") from error
    except PermissionError as error:
        raise DataError(f"{path}: the image may not be read; correct its permissions") from error
    except _BROKEN as error:
        raise DataError(
            f"{path}: no image, or a truncated or damaged one ({error}); restore this file from the image archive"
        ) from error
