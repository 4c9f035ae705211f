"""Opening images: always RGB, and a broken file names itself."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from PIL import Image

from vlrouting.data.example import DataError
from vlrouting.data.images import load_image


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "1", "RGB"])
def test_always_rgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / "picture.png"
    Image.new("RGB", (5, 4), (255, 255, 255)).convert(mode).save(path)
    image = load_image(path)
    assert (image.mode, image.size, image.getpixel((0, 0))) == ("RGB", (5, 4), (255, 255, 255))


@pytest.mark.parametrize("suffix", ["png", "jpg"])
@pytest.mark.parametrize("share", [0.02, 0.2, 0.5, 0.9])
def test_truncated(tmp_path: Path, suffix: str, share: float) -> None:
    path = tmp_path / f"picture.{suffix}"
    Image.frombytes("RGB", (32, 32), random.Random(0).randbytes(3 * 32 * 32)).save(path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(DataError, match=rf"{path}: .*truncated or damaged.*restore this file"):
        load_image(path)


def test_missing_and_no_image(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("hello")
    for name, words in (
        ("text.png", "no image.*restore"),
        ("none.png", "the image is missing; unpack"),
        ("none/none.png", "folder .*none is missing.*correct data.root"),
    ):
        with pytest.raises(DataError, match=rf"{tmp_path / name}: .*{words}"):
            load_image(tmp_path / name)
