"""The feature cache: its key, its checksums, and what is refused."""

from __future__ import annotations

import copy
import errno
import multiprocessing
import os
import pickle
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from vlrouting.backbones import feature_cache, feature_file
from vlrouting.backbones.feature_cache import FeatureCache, build_feature_cache, cache_key, feature_statistics
from vlrouting.backbones.feature_file import DamagedFeatures, write_features
from vlrouting.backbones.location import BackboneError
from vlrouting.backbones.vision import VisionEncoder, load_vision_encoder
from vlrouting.config import VisionConfig
from vlrouting.data.example import DataError
from vlrouting.data.images import load_image

CONFIG = VisionConfig("vit_tiny_patch16_224", weights="random", image_size=32)


@pytest.fixture(scope="module")
def encoder() -> VisionEncoder:
    return load_vision_encoder(CONFIG)


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{number}.png" for number in range(7)]
    for number, path in enumerate(paths):
        Image.new("RGB", (40, 40), (30 * number, 0, 255 - 30 * number)).save(path)
    return paths


def build(encoder: VisionEncoder, images: list[Path], folder: Path, **options: Any) -> FeatureCache:
    return build_feature_cache(encoder, images, folder, load_image, batch_size=3, **options)


def test_features_that_are_there_are_not_computed_again(
    encoder: VisionEncoder, images: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = build(encoder, images, tmp_path / "features")
    monkeypatch.delattr(feature_cache, "_compute")
    again = build(encoder, images, tmp_path / "features")
    assert torch.equal(again(images), first(images))


def test_the_features_are_those_of_the_encoder(encoder: VisionEncoder, images: list[Path], tmp_path: Path) -> None:
    cache = build(encoder, images, tmp_path / "features")
    pixels = torch.stack([encoder.transform(load_image(path)) for path in images])
    expected = encoder(pixels)
    assert cache.shape == (1, 192)
    for path, features in zip(images, expected, strict=True):
        torch.testing.assert_close(cache([path]), features, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(cache(images[2:4]), expected[2:4, 0], atol=1e-4, rtol=1e-4)
    mean, std = feature_statistics([(cache, images)])
    torch.testing.assert_close(mean, expected[:, 0].mean(dim=0), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(std, expected[:, 0].std(dim=0, correction=0), atol=1e-3, rtol=1e-3)


@dataclass
class Keyed:
    """What a cache's key is made of."""

    encoder: VisionEncoder
    images: list[Path]

    def key(self) -> str:
        return cache_key(self.encoder, [str(path) for path in self.images], load_image)


def _newer(keyed: Keyed) -> None:
    stat = keyed.images[0].stat()
    os.utime(keyed.images[0], ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))


def _longer(keyed: Keyed) -> None:
    stat = keyed.images[0].stat()
    keyed.images[0].write_bytes(keyed.images[0].read_bytes() + b"\0")
    os.utime(keyed.images[0], ns=(stat.st_atime_ns, stat.st_mtime_ns))


def _moved(keyed: Keyed) -> None:
    keyed.images[0] = keyed.images[0].rename(keyed.images[0].with_name("moved.png"))


def _weight(keyed: Keyed) -> None:
    with torch.no_grad():
        next(keyed.encoder.model.parameters()).view(-1)[0] += 1e-6


CHANGES: dict[str, Callable[[Keyed], object]] = {
    "one weight": _weight,
    "its dtype": lambda keyed: keyed.encoder.double(),
    "the name": lambda keyed: setattr(keyed.encoder, "name", "vit_tiny_patch16_224.other"),
    "pooled or tokens": lambda keyed: setattr(keyed.encoder, "features", "tokens"),
    "a transform of the model": lambda keyed: setattr(keyed.encoder, "transforms", "prune heads 0.5"),
    "the mean": lambda keyed: setattr(keyed.encoder._transform.transforms[-1], "mean", torch.zeros(3)),
    "the size": lambda keyed: setattr(keyed.encoder._transform.transforms[0], "size", (48, 48)),
    "time of an image": _newer,
    "size of an image": _longer,
    "name of an image": _moved,
    "one image fewer": lambda keyed: keyed.images.pop(),
}


@pytest.mark.parametrize("change", CHANGES)
def test_the_key_depends_on(change: str, encoder: VisionEncoder, images: list[Path]) -> None:
    keyed = Keyed(copy.deepcopy(encoder), images)
    before = keyed.key()
    assert keyed.key() == before
    CHANGES[change](keyed)
    assert keyed.key() != before


def test_the_key_depends_on_the_configuration(encoder: VisionEncoder, images: list[Path]) -> None:
    other = load_vision_encoder(replace(CONFIG, image_size=48))
    assert Keyed(other, images).key() != Keyed(encoder, images).key()


def test_the_key_depends_on_the_version(
    encoder: VisionEncoder, images: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = Keyed(encoder, images).key()
    monkeypatch.setattr(feature_cache, "FORMAT", feature_file.FORMAT + 1)
    assert Keyed(encoder, images).key() != before


def written(folder: Path, rows: int = 40, width: int = 8, block: int = 3) -> tuple[Path, np.ndarray]:
    """Stored random numbers in blocks of so many rows; given in batches of seven."""
    numbers = np.random.default_rng(0).normal(size=(rows, 2, width)).astype(np.float32)
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(feature_file, "BLOCK_BYTES", block * 2 * width * 4)
        write_features(folder, [f"{row}.png" for row in range(rows)], np.array_split(numbers, range(7, rows, 7)))
    return folder, numbers


@pytest.mark.parametrize("block", [1, 3, 7, 64])
def test_blocks_of_any_size(tmp_path: Path, block: int) -> None:
    folder, numbers = written(tmp_path / "cache", block=block)
    cache = FeatureCache(folder)
    for row in (0, 39, 20, 20):
        assert np.array_equal(cache([Path(f"{row}.png")]), numbers[row])


def flip(path: Path, *bits: int) -> None:
    content = bytearray(path.read_bytes())
    for bit in bits:
        content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


def test_a_flipped_bit_is_an_error_when_its_block_is_read(tmp_path: Path) -> None:
    folder, numbers = written(tmp_path / "cache")
    header = 8 * ((folder / "features.npy").stat().st_size - numbers.nbytes)
    row = 8 * numbers[0].nbytes
    flip(folder / "features.npy", header + 4 * row + 5, header + 4 * row + 40)  # two bits of row 4, in block 3 to 5
    cache = FeatureCache(folder)
    for good in (0, 2, 6, 39):
        assert np.array_equal(cache([Path(f"{good}.png")]), numbers[good])
    for bad in (3, 4, 5):
        with pytest.raises(
            DamagedFeatures, match=rf"features\.npy: rows 3 to 5, of 3\.png to 5\.png, .*rm -r '{folder}'"
        ):
            cache([Path(f"{bad}.png")])
    with pytest.raises(DamagedFeatures, match="rows 3 to 5"):
        feature_statistics([(cache, [Path("0.png"), Path("5.png")])])


def test_a_block_is_verified_once_in_each_process(tmp_path: Path) -> None:
    folder, numbers = written(tmp_path / "cache")
    cache = FeatureCache(folder)
    cache([Path("4.png")])
    flip(folder / "features.npy", 8 * ((folder / "features.npy").stat().st_size - numbers.nbytes) + 8 * 4 * 64)
    cache([Path("4.png")])  # known to be good
    for context in ("fork", None):
        if context is None:
            with pytest.raises(DamagedFeatures):
                pickle.loads(pickle.dumps(cache))([Path("4.png")])
            continue
        queue = multiprocessing.get_context(context).SimpleQueue()
        process = multiprocessing.get_context(context).Process(target=_read_row_4, args=(cache, queue))
        process.start()
        assert "rows 3 to 5" in queue.get()
        process.join()


def _read_row_4(cache: FeatureCache, queue: Any) -> None:
    try:
        cache([Path("4.png")])
        queue.put("")
    except DamagedFeatures as error:
        queue.put(str(error))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("features.npy", lambda whole: whole[:-100]),
        ("features.npy", lambda whole: whole[:40]),
        ("features.npy", lambda whole: b""),
        ("features.npy", lambda whole: whole.replace(b"(40,", b"(20,")),
        ("features.npy", lambda whole: whole.replace(b"<f4", b"<i4")),
        ("index.json", lambda whole: whole[:-5]),
        ("index.json", lambda whole: whole.replace(b"7.png", b"6.png")),
        ("index.json", lambda whole: whole.replace(b'"block_rows": 3', b'"block_rows": 9')),
        ("index.json", lambda whole: b"[]"),
        ("index.json", lambda whole: b"\xff"),
        ("index.json", lambda whole: b"[" * 100_000),
    ],
)
def test_a_damaged_folder(tmp_path: Path, name: str, content: Callable[[bytes], bytes]) -> None:
    folder, _ = written(tmp_path / "cache")
    (folder / name).write_bytes(content((folder / name).read_bytes()))
    with pytest.raises(DamagedFeatures, match=rf"{folder}: {name.replace('.', '.')}.*rm -r") as caught:
        FeatureCache(folder)([Path("0.png")])
    assert not caught.value.old


def test_a_folder_of_an_older_version(tmp_path: Path) -> None:
    folder, _ = written(tmp_path / "cache")
    (folder / "index.json").write_text('{"encoder": "x", "revision": null, "images": ["0.png"]}')
    with pytest.raises(DamagedFeatures, match="without checksums") as caught:
        FeatureCache(folder)
    assert caught.value.old


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_features_that_are_not_finite(encoder: VisionEncoder, images: list[Path], tmp_path: Path, value: float) -> None:
    encoder = copy.deepcopy(encoder)
    encode = encoder.encode_pooled

    def spoiled(pixels: torch.Tensor) -> torch.Tensor:
        features = encode(pixels).clone()
        features[pixels[:, 0].mean(dim=(1, 2)) > 0.1, 100] = value  # the reddest
        return features

    encoder.encode_pooled = spoiled  # type: ignore[method-assign]
    with pytest.raises(BackboneError, match="NaN or infinite") as caught:
        build(encoder, images, tmp_path / "features")
    named = [path for path in images if str(path) in str(caught.value)]
    assert named and images[0] not in named and not list((tmp_path / "features").glob("*.tmp"))


def test_a_missing_image_is_the_loaders_error(encoder: VisionEncoder, images: list[Path], tmp_path: Path) -> None:
    images[3].unlink()
    with pytest.raises(DataError, match=rf"{images[3]}: the image is missing"):
        build(encoder, images, tmp_path / "features")


def test_a_full_disk_is_named_and_cleared(
    encoder: VisionEncoder, images: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(folder: Path, *_: Any, **__: Any) -> None:
        (folder / "features.npy").write_bytes(b"some")
        raise OSError(errno.ENOSPC, "No space left on device")  # as writing to an open file raises it

    monkeypatch.setattr(feature_cache, "write_features", full)
    with pytest.raises(OSError, match="No space left") as caught:
        build(encoder, images, tmp_path / "features")
    assert caught.value.filename == str(tmp_path / "features")
    assert [path.suffix for path in (tmp_path / "features").iterdir()] == [".lock"]


def test_a_broken_image_is_one_sentence(encoder: VisionEncoder, images: list[Path], tmp_path: Path) -> None:
    images[5].write_bytes(images[5].read_bytes()[:30])
    with pytest.raises(DataError) as caught:
        build(encoder, images, tmp_path / "features", workers=2)
    assert str(caught.value).startswith(f"{images[5]}: ") and "\n" not in str(caught.value)
