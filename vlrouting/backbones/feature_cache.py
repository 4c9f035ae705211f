"""Visual features of a frozen encoder, computed once per image and shared by every point of a sweep.

A cache is a folder (see `feature_file`) named after everything that its numbers depend on: the encoder's weights, the
preprocessing, the images (path, size, time of change), the version of what reads and stores them.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from filelock import FileLock
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from vlrouting.backbones.feature_file import FORMAT, INDEX, FeatureFile, write_features
from vlrouting.backbones.frozen import fingerprint
from vlrouting.backbones.loading_workers import WorkerLoader, lost_workers_as
from vlrouting.backbones.location import BackboneError
from vlrouting.backbones.vision import VisionEncoder
from vlrouting.config.names import listed
from vlrouting.progress_bar import progress_bar

ImageLoader = Callable[[Path], Image.Image]


class PixelSource:
    """A VisualSource that decodes and transforms images: (3, H, W) float32, or (N, 3, H, W) of several."""

    def __init__(self, transform: Callable[[Image.Image], Tensor], load_image: ImageLoader) -> None:
        self.transform, self.load_image = transform, load_image

    def __call__(self, images: Sequence[Path]) -> Tensor:
        """Pixels of an example's images, in their order."""
        pixels = [self.transform(self.load_image(image)) for image in images]
        return pixels[0] if len(pixels) == 1 else torch.stack(pixels)


class FeatureCache:
    """A VisualSource that reads computed features: (V, Dv) float32, verified when a process first reads them."""

    def __init__(self, folder: Path) -> None:
        """
        Raises:
            BackboneError: the folder is damaged; names it and the remedy, as all methods do.
        """
        self.folder, self._file = folder, FeatureFile(folder)

    @property
    def shape(self) -> tuple[int, int]:
        """(V, Dv)."""
        _, visual_tokens, width = self._file.array().shape
        return visual_tokens, width

    def __call__(self, images: Sequence[Path]) -> Tensor:
        """Features of an example's images, one after the other: (V, Dv)."""
        return torch.from_numpy(np.concatenate(self._file.read([self._file.row[str(path)] for path in images])))

    def sums(self, images: Iterable[Path]) -> tuple[Any, Any, int]:
        """Over these images' features: the sum per channel, (Dv,), the sum of the squares, and their number."""
        rows = sorted({self._file.row[str(path)] for path in images})
        total, squares, count = 0.0, 0.0, 0
        for start in range(0, len(rows), 1024):  # in parts: tokens of a large dataset do not fit into memory
            part = np.stack(self._file.read(rows[start : start + 1024])).astype(np.float64)  # (n, V, Dv)
            total, squares = total + part.sum(axis=(0, 1)), squares + (part**2).sum(axis=(0, 1))
            count += part.shape[0] * part.shape[1]
        return total, squares, count


def feature_statistics(of: Sequence[tuple[FeatureCache, Iterable[Path]]]) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation per channel over the features of images, (Dv,) each; an image counts once.

    Args:
        of: caches, each with images that it has.
    """
    total, squares, count, seen = 0.0, 0.0, 0, set[Path]()
    for cache, images in of:
        new = set(images) - seen
        seen |= new
        own_total, own_squares, own_count = cache.sums(new)
        total, squares, count = total + own_total, squares + own_squares, count + own_count
    mean = total / count
    deviation = np.sqrt(np.maximum(squares / count - mean**2, 0.0))
    return torch.tensor(mean, dtype=torch.float32), torch.tensor(deviation, dtype=torch.float32)


def build_feature_cache(
    encoder: VisionEncoder,
    images: Iterable[Path],
    folder: Path,
    load_image: ImageLoader,
    batch_size: int = 64,
    workers: int = 0,
    device: torch.device | str = "cpu",
) -> FeatureCache:
    """The cache of these images, computed unless it is there already.

    A cache appears whole or not at all: it is written beside its place and moved there. Processes that want the same
    one wait for the first to finish.

    Args:
        encoder: frozen; its weights and preprocessing are part of the key.
        images: files; those of several splits make one cache.
        folder: parent of all caches.
        load_image: opens a file as RGB; its errors about broken files pass through.

    Raises:
        BackboneError: the cache is damaged, a feature is not finite, or a process that loads images was killed.
        OSError: the folder cannot be written; its `filename` lies there.
    """
    paths = sorted(set(map(str, images)))
    place = folder / cache_key(encoder, paths, load_image)
    with _names_the_disk(folder):
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f"{place.name}.lock"):
            if not (place / INDEX).is_file():
                unfinished = folder / f"{place.name}.tmp"
                shutil.rmtree(unfinished, ignore_errors=True)
                unfinished.mkdir()
                try:
                    _compute(encoder, paths, unfinished, load_image, batch_size, workers, device)
                    shutil.rmtree(place, ignore_errors=True)
                    os.replace(unfinished, place)
                except BaseException:
                    shutil.rmtree(unfinished, ignore_errors=True)
                    raise
    return FeatureCache(place)


@contextmanager
def _names_the_disk(folder: Path) -> Iterator[None]:
    """An OSError names the folder of the caches where it names no file: a full disk is not that of the run."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(folder)
        raise


def cache_key(encoder: VisionEncoder, paths: Sequence[str], load_image: ImageLoader) -> str:
    """Name of the folder: it changes with everything that the features depend on.

    Raises:
        Exception: what `load_image` raises for an image that is not there.
    """
    digest = hashlib.sha256(f"{FORMAT}|{encoder.name}|{fingerprint(encoder)}|{encoder.features}|".encode())
    digest.update(f"{encoder.preprocessing}|{encoder.transforms}".encode())
    if encoder.pool is not None:
        digest.update(f"|pool {encoder.pool}".encode())
    for path in paths:
        try:
            stat = os.stat(path)
        except (OSError, ValueError):
            load_image(Path(path))  # says what is wrong
            raise
        digest.update(f"{path}|{stat.st_size}|{stat.st_mtime_ns}\n".encode())
    name = encoder.name.rpartition("/")[2].split(".")[0]  # of a folder its last part
    return f"{name}-{encoder.features}-{digest.hexdigest()[:12]}"


class _Images(Dataset[Tensor]):
    def __init__(self, paths: Sequence[str], encoder: VisionEncoder, load_image: ImageLoader) -> None:
        self.paths, self.pixels = paths, PixelSource(encoder.transform, load_image)

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        return self.pixels([Path(self.paths[index])])


def _compute(
    encoder: VisionEncoder,
    paths: list[str],
    folder: Path,
    load_image: ImageLoader,
    batch_size: int,
    workers: int,
    device: torch.device | str,
) -> None:
    loader: WorkerLoader[Tensor] = WorkerLoader(
        _Images(paths, encoder, load_image), batch_size=batch_size, num_workers=workers
    )
    # Convolutions on a CPU run faster with the channels last (benchmarks/feature_cache.py).
    encoder = encoder.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def batches(advance: Callable[[int], None]) -> Iterator[np.ndarray]:
        done = 0
        for pixels in loader:
            features = encoder(pixels.to(device, memory_format=torch.channels_last)).float().cpu()  # (B, V, Dv)
            _require_finite(features, paths[done : done + len(features)], encoder)
            done += len(features)
            yield features.numpy()
            advance(len(features))

    with (
        progress_bar("visual features", len(paths), "images") as advance,
        torch.inference_mode(),
        torch.backends.cudnn.flags(enabled=True, allow_tf32=False),  # the key does not say which device computed
        lost_workers_as(BackboneError, [loader]),
    ):
        write_features(folder, paths, batches(advance), encoder=encoder.name, revision=encoder.revision)
    encoder.to("cpu")  # a GPU's memory is for training


def _require_finite(features: Tensor, paths: Sequence[str], encoder: VisionEncoder) -> None:
    """Check the features (B, V, Dv) of a batch.

    Raises:
        BackboneError: one is NaN or infinite; names the images.
    """
    finite = features.isfinite().flatten(1).all(dim=1).tolist()
    wrong = [path for path, good in zip(paths, finite, strict=True) if not good]
    if wrong:
        raise BackboneError(
            f"vision.name: {encoder.name} gives features that are NaN or infinite for {listed(wrong)}; its weights may "
            "be damaged (fetch them again), or these images: remove them from the data"
        )
