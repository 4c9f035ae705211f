"""Visual features of a frozen encoder, computed once per image and shared by every point of a sweep.

A cache is a folder named after everything that its numbers depend on: the encoder's weights, the preprocessing, the
images (path, size, time of change). `features.npy` is (N, V, Dv) float32, mapped into memory, so that worker processes
share it; `index.json` names its rows.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from vlrouting.backbones.frozen import fingerprint
from vlrouting.backbones.vision import VisionEncoder
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
    """A VisualSource that reads computed features: (V, Dv) float32."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        rows = json.loads((folder / "index.json").read_text(encoding="utf-8"))["images"]
        self._row = {path: row for row, path in enumerate(rows)}
        self._features: np.ndarray | None = None

    @property
    def shape(self) -> tuple[int, int]:
        """(V, Dv)."""
        _, visual_tokens, width = self._mapped().shape
        return visual_tokens, width

    def __call__(self, images: Sequence[Path]) -> Tensor:
        """Features of an example's images, one after the other: (V, Dv)."""
        rows = [self._row[str(path)] for path in images]
        return torch.from_numpy(np.concatenate([self._mapped()[row] for row in rows]))

    def statistics(self, images: Iterable[Path]) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation per channel over these images' features, (Dv,) each."""
        rows = sorted({self._row[str(path)] for path in images})
        total, squares, count = 0.0, 0.0, 0
        for start in range(0, len(rows), 1024):  # in parts: tokens of a large dataset do not fit into memory
            part = self._mapped()[rows[start : start + 1024]].astype(np.float64)  # (n, V, Dv)
            total, squares = total + part.sum(axis=(0, 1)), squares + (part**2).sum(axis=(0, 1))
            count += part.shape[0] * part.shape[1]
        mean = total / count
        deviation = np.sqrt(np.maximum(squares / count - mean**2, 0.0))
        return torch.tensor(mean, dtype=torch.float32), torch.tensor(deviation, dtype=torch.float32)

    def _mapped(self) -> np.ndarray:
        if self._features is None:  # opened in the process that reads, a mapping cannot travel to a worker
            self._features = np.load(self.folder / "features.npy", mmap_mode="r")
        return self._features

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_features": None}


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
        FileNotFoundError: an image is missing.
    """
    paths = sorted(set(map(str, images)))
    place = folder / _key(encoder, paths)
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f"{place.name}.lock"):
        if not (place / "index.json").is_file():
            unfinished = folder / f"{place.name}.tmp"
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            try:
                _compute(encoder, paths, unfinished, load_image, batch_size, workers, device)
            except BaseException as error:
                if isinstance(error, OSError) and error.errno and error.filename is None:
                    error.filename = str(unfinished)  # which disk it is: that of a full one names no file
                shutil.rmtree(unfinished, ignore_errors=True)
                raise
            shutil.rmtree(place, ignore_errors=True)
            os.replace(unfinished, place)
    return FeatureCache(place)


def _key(encoder: VisionEncoder, paths: Sequence[str]) -> str:
    digest = hashlib.sha256()
    digest.update(f"{encoder.name}|{fingerprint(encoder)}|{encoder.features}|{encoder.preprocessing}".encode())
    digest.update(encoder.transforms.encode())
    for path in paths:
        stat = os.stat(path)
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
    loader = DataLoader(_Images(paths, encoder, load_image), batch_size=batch_size, num_workers=workers)
    # Convolutions on a CPU run faster with the channels last (benchmarks/feature_cache.py).
    encoder = encoder.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    # Written as a plain file: writing through a memory map kills the process when the disk is full.
    with (
        (folder / "features.npy").open("wb") as file,
        progress_bar("visual features", len(paths), "images") as advance,
        torch.inference_mode(),
        torch.backends.cudnn.flags(enabled=True, allow_tf32=False),  # the key does not say which device computed
    ):
        for pixels in loader:
            features = encoder(pixels.to(device, memory_format=torch.channels_last)).float().cpu().numpy()  # (B, V, Dv)
            if file.tell() == 0:
                shape = (len(paths), *features.shape[1:])
                header = {"descr": "<f4", "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(file, header)
            file.write(np.ascontiguousarray(features, dtype="<f4").tobytes())
            advance(len(features))
    encoder.to("cpu")  # a GPU's memory is for training
    index = {"encoder": encoder.name, "revision": encoder.revision, "images": paths}
    (folder / "index.json").write_text(json.dumps(index), encoding="utf-8")
