"""Images as a viewer shows them, against pixels built by hand; and a broken file names itself."""

from __future__ import annotations

import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from vlrouting.data.example import DataError
from vlrouting.data.images import load_image

WHITE = (255, 255, 255)


def png(path: Path, *, bits: int, color: int, width: int, rows: list[bytes], extra: bytes = b"") -> None:
    """A PNG file, chunk by chunk; `extra`: further chunks before the pixels."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, len(rows), bits, color, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows)))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + extra + pixels + chunk(b"IEND", b""))


def chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content))


def pixels(path: Path) -> list[tuple[int, ...]]:
    image = load_image(path)
    assert image.mode == "RGB"
    return [tuple(pixel) for row in np.asarray(image).tolist() for pixel in row]


def gray(*values: int) -> list[tuple[int, ...]]:
    return [(value, value, value) for value in values]


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "1", "RGB", "PA"])
def test_always_rgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("picture.png" if mode != "PA" else "picture.tif")
    Image.new("RGBA", (5, 4), (255, 255, 255, 255)).convert("LA" if mode == "PA" else mode).convert(mode).save(path)
    image = load_image(path)
    assert (image.mode, image.size, image.getpixel((0, 0))) == ("RGB", (5, 4), WHITE)


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(tmp_path: Path, orientation: int, suffix: str) -> None:
    """The definition of the tag: which sides of the stored picture are the top and the left of the shown one."""
    stored = np.full((16, 32, 3), 255, np.uint8)
    stored[:8, :8] = 0  # the corner where the first row and the first column meet
    stored[:8, -8:] = (255, 0, 0)
    path = tmp_path / f"picture.{suffix}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    lossless = {"webp": {"lossless": True}, "jpg": {"quality": 100, "subsampling": 0}}.get(suffix, {})
    Image.fromarray(stored).save(path, exif=exif, **lossless)
    shown = np.asarray(load_image(path)).astype(int)
    row, column = {
        1: ("top", "left"), 2: ("top", "right"), 3: ("bottom", "right"), 4: ("bottom", "left"),
        5: ("left", "top"), 6: ("right", "top"), 7: ("right", "bottom"), 8: ("left", "bottom"),
    }[orientation]  # fmt: skip
    assert shown.shape[:2] == ((16, 32) if orientation < 5 else (32, 16))
    corner = (4 if "top" in (row, column) else -4, 4 if "left" in (row, column) else -4)
    opposite = {"top": "bottom", "bottom": "top", "left": "right", "right": "left"}
    other = opposite[column]  # the end of the first stored row
    red = (4 if "top" in (row, other) else -4, 4 if "left" in (row, other) else -4)
    assert shown[corner].max() < 30 and shown[red][0] > 225 and shown[red][1:].max() < 30


def test_a_damaged_exif_is_no_damaged_image(tmp_path: Path) -> None:
    path = tmp_path / "picture.jpg"
    Image.new("RGB", (8, 8), (0, 0, 200)).save(path, exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01\x03\0")
    assert pixels(path)[0][2] > 190


@pytest.mark.parametrize("name", ["png", "pgm", "tif", "big-endian.tif", "white-is-zero.tif"])
def test_sixteen_bits(tmp_path: Path, name: str) -> None:
    values, path = [0, 128, 257, 32768, 65535], tmp_path / f"picture.{name}"
    packed = struct.pack(">5H", *values)
    if name == "png":
        png(path, bits=16, color=0, width=5, rows=[packed])
    elif name == "pgm":
        path.write_bytes(b"P5 5 1 65535\n" + packed)
    else:
        image = Image.frombytes("I;16B" if "big" in name else "I;16", (5, 1), struct.pack("<5H", *values))
        image = Image.frombytes("I;16B", (5, 1), packed) if "big" in name else image
        tags = TiffImagePlugin.ImageFileDirectory_v2()
        tags[262] = 0 if "white" in name else 1
        image.save(path, tiffinfo=tags)
    expected = gray(0, 0, 1, 128, 255)
    assert pixels(path) == (expected if "white" not in name else gray(255, 255, 254, 127, 0))


def test_sixteen_bits_with_a_transparent_value(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    transparent = chunk(b"tRNS", struct.pack(">H", 300))
    png(path, bits=16, color=0, width=3, rows=[struct.pack(">3H", 300, 301, 0)], extra=transparent)
    assert pixels(path) == gray(255, 1, 0)


def test_sixteen_bits_of_colour(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    png(path, bits=16, color=2, width=1, rows=[struct.pack(">3H", 0x8080, 0xFFFF, 0x0101)])
    assert pixels(path) == [(128, 255, 1)]
    png(path, bits=16, color=6, width=1, rows=[struct.pack(">4H", 0, 0, 0, 0)])
    assert pixels(path) == [WHITE]


def test_floating_point(tmp_path: Path) -> None:
    path = tmp_path / "picture.tif"
    Image.fromarray(np.array([[0.0, 0.25, 0.5, 1.0]], np.float32)).save(path)
    assert pixels(path) == gray(0, 64, 128, 255)
    for wrong in (255.0, -1.0, float("nan"), float("inf")):
        Image.fromarray(np.array([[0.5, wrong]], np.float32)).save(path)
        with pytest.raises(DataError, match=rf"{path}: .*not from 0 to 1; save it with 8 bits"):
            load_image(path)
    Image.fromarray(np.array([[5, 70_000]], np.int32)).save(path)
    with pytest.raises(DataError, match=rf"{path}: .*mode I.*save it in RGB"):
        load_image(path)


PALETTE = chunk(b"PLTE", bytes([255, 0, 0, 0, 255, 0, 0, 0, 255]))


@pytest.mark.parametrize(
    ("transparency", "expected"),
    [
        (b"", [(255, 0, 0), (0, 255, 0), (0, 0, 255)]),
        (chunk(b"tRNS", bytes([0])), [WHITE, (0, 255, 0), (0, 0, 255)]),
        (chunk(b"tRNS", bytes([255, 51, 0])), [(255, 0, 0), (204, 255, 204), WHITE]),
    ],
)
def test_a_palette(tmp_path: Path, transparency: bytes, expected: list[Any]) -> None:
    path = tmp_path / "picture.png"
    png(path, bits=8, color=3, width=3, rows=[bytes([0, 1, 2])], extra=PALETTE + transparency)
    assert pixels(path) == expected


def test_transparency_is_on_white(tmp_path: Path) -> None:
    path = tmp_path / "picture.png"
    png(path, bits=8, color=6, width=3, rows=[bytes([9, 9, 9, 0, 255, 0, 0, 51, 1, 2, 3, 255])])
    assert pixels(path) == [WHITE, (255, 204, 204), (1, 2, 3)]
    png(path, bits=8, color=4, width=3, rows=[bytes([0, 0, 0, 51, 7, 255])])
    assert pixels(path) == gray(255, 204, 7)
    png(path, bits=8, color=0, width=2, rows=[bytes([0, 9])], extra=chunk(b"tRNS", struct.pack(">H", 0)))
    assert pixels(path) == gray(255, 9)
    five = chunk(b"tRNS", struct.pack(">3H", 5, 5, 5))
    png(path, bits=8, color=2, width=2, rows=[bytes([5, 5, 5, 6, 6, 6])], extra=five)
    assert pixels(path) == gray(255, 6)
    png(path, bits=1, color=0, width=3, rows=[bytes([0b10100000])])
    assert pixels(path) == gray(255, 0, 255)


def test_cmyk(tmp_path: Path) -> None:
    inks = [(0, 0, 0, 0), (0, 255, 255, 0), (0, 0, 0, 255), (255, 0, 0, 0)]
    expected = [WHITE, (255, 0, 0), (0, 0, 0), (0, 255, 255)]
    image = Image.new("CMYK", (32, 8))
    for number, ink in enumerate(inks):
        image.paste(ink, (8 * number, 0, 8 * number + 8, 8))
    image.save(tmp_path / "picture.tif")
    image.save(tmp_path / "adobe.jpg", quality=100)
    content = (tmp_path / "adobe.jpg").read_bytes()
    marker = content.index(b"\xff\xee")
    assert content[marker + 4 : marker + 9] == b"Adobe"  # whose JPEGs hold 255 for no ink
    image.point(lambda value: 255 - value).save(tmp_path / "plain.jpg", quality=100)
    content = (tmp_path / "plain.jpg").read_bytes()
    (tmp_path / "plain.jpg").write_bytes(content[:marker] + content[marker + 16 :])  # without it, 255 is full ink
    for name in ("picture.tif", "adobe.jpg", "plain.jpg"):
        found = np.asarray(load_image(tmp_path / name)).astype(int)[4, 4::8]
        assert np.abs(found - np.array(expected)).max() <= 4, name


def test_the_first_frame(tmp_path: Path) -> None:
    for suffix in ("gif", "webp", "png", "tif"):
        path = tmp_path / f"picture.{suffix}"
        frames = [Image.new("RGB", (4, 4), color) for color in ((255, 0, 0), (0, 0, 255))]
        options = {"lossless": True} if suffix == "webp" else {}
        frames[0].save(path, save_all=True, append_images=frames[1:], **options)
        assert pixels(path)[0] == (255, 0, 0), suffix


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "tif"])
@pytest.mark.parametrize("share", [0.02, 0.2, 0.5, 0.9])
def test_truncated(tmp_path: Path, suffix: str, share: float) -> None:
    path = tmp_path / f"picture.{suffix}"
    Image.frombytes("RGB", (32, 32), random.Random(0).randbytes(3 * 32 * 32)).save(path)
    path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
    with pytest.raises(DataError, match=rf"{path}: .*truncated or damaged.*restore this file"):
        load_image(path)


@pytest.mark.parametrize("suffix", ["png", "jpg", "gif", "tif", "webp", "bmp"])
def test_damaged_bytes(tmp_path: Path, suffix: str) -> None:
    path, draw = tmp_path / f"picture.{suffix}", random.Random(suffix)
    Image.frombytes("RGB", (16, 16), draw.randbytes(3 * 16 * 16)).save(path)
    whole = path.read_bytes()
    for _ in range(60):
        content = bytearray(whole)
        for _ in range(3):
            content[draw.randrange(min(len(whole), 200))] = draw.randrange(256)
        path.write_bytes(content)
        try:
            assert load_image(path).mode == "RGB"
        except DataError as error:
            assert str(path) in str(error) and "\n" not in str(error)


def test_a_decompression_bomb(tmp_path: Path) -> None:
    path = tmp_path / "bomb.png"
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b""))
    with pytest.raises(DataError, match=rf"{path}: claims to have more than [\d,]+ pixels; restore .* scale it"):
        load_image(path)


def _folder(path: Path) -> None:
    path.mkdir()


def _text(path: Path) -> None:
    path.write_text("hello")


@pytest.mark.parametrize(
    ("name", "make", "words"),
    [
        ("text.png", _text, "no image.*restore"),
        ("folder.png", _folder, "no image.*restore"),
        ("none.png", None, "the image is missing; unpack"),
        ("none/none.png", None, "folder .*none is missing.*correct data.root"),
        ("a\0b.png", None, "no image"),
        ("x" * 300 + ".png", None, "no image"),
    ],
)
def test_missing_and_no_image(tmp_path: Path, name: str, make: Callable[[Path], None] | None, words: str) -> None:
    if make is not None:
        make(tmp_path / name)
    with pytest.raises(DataError, match=rf": .*{words}") as caught:
        load_image(tmp_path / name)
    assert str(caught.value).startswith(str(tmp_path / name))
