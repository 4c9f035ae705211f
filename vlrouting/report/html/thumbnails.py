"""Small copies of test images, as data URIs: each image once, in the format that makes it smallest."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from vlrouting.data.example import DataError
from vlrouting.data.images import load_image

EDGE = 320
"""Most pixels of an edge: twice what a page shows, for screens with small pixels."""
_FORMATS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("jpeg", {"quality": 72, "optimize": True, "progressive": True}),
    ("webp", {"quality": 70, "method": 4}),
    ("png", {"optimize": True}),
)


class Thumbnails:
    """Thumbnails by number, within a limit on their size together.

    Attributes:
        uris: `data:image/…` of each image by number; None for an image that cannot be opened here.
        names: its file name.
        size: characters of all data URIs.
        most: limit on `size`.
    """

    def __init__(self, most_characters: int) -> None:
        self.uris: list[str | None] = []
        self.names: list[str] = []
        self.size = 0
        self.most = most_characters
        self._numbers: dict[str, int] = {}

    @property
    def missing(self) -> int:
        """Images that cannot be opened here."""
        return self.uris.count(None)

    def add(self, paths: Sequence[str]) -> list[int] | None:
        """The numbers of an example's images; None, and nothing is added, where they exceed the limit."""
        new = {path: _data_uri(Path(path)) for path in dict.fromkeys(paths) if path not in self._numbers}
        needed = sum(len(uri) for uri in new.values() if uri is not None)
        if self.size + needed > self.most:
            return None
        self.size += needed
        for path, uri in new.items():
            self._numbers[path] = len(self.uris)
            self.uris.append(uri)
            self.names.append(Path(path).name)
        return [self._numbers[path] for path in paths]


def _data_uri(path: Path) -> str | None:
    """None for an image that cannot be opened: the page shows its name instead."""
    try:
        image = load_image(path)
    except (DataError, OSError):
        return None
    image.thumbnail((EDGE, EDGE), Image.Resampling.LANCZOS)
    kind, content = min(((kind, _encoded(image, kind, options)) for kind, options in _FORMATS), key=lambda p: len(p[1]))
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"


def _encoded(image: Image.Image, kind: str, options: dict[str, Any]) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()
