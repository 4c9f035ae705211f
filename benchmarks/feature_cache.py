"""Time saved by the visual feature cache, and the fastest settings of the encoder on a CPU.

    python benchmarks/feature_cache.py --images 512

Encodes the same random pixels with the demo's EfficientNet-Lite0 in both memory formats, then with the allocator
keeping freed memory; then writes features, and reads them for the first time, when their checksums are verified, and
again. All are measured in one run: compare the ratios, not the seconds.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from vlrouting.backbones.feature_cache import FeatureCache
from vlrouting.backbones.feature_file import ARRAY, write_features
from vlrouting.backbones.vision import load_vision_encoder
from vlrouting.config import VisionConfig
from vlrouting.training.machine import keep_freed_memory

BATCH = 256
"""The demo's `evaluate.batch_size`."""


def seconds_per_image(encoder: torch.nn.Module, pixels: torch.Tensor, memory_format: torch.memory_format) -> float:
    """Seconds per image; the best of three passes."""
    encoder = encoder.to(memory_format=memory_format)  # type: ignore[call-overload]
    pixels = pixels.contiguous(memory_format=memory_format)
    times = []
    with torch.inference_mode():
        encoder(pixels[:BATCH])
        for _ in range(3):
            start = time.perf_counter()
            for part in pixels.split(BATCH):  # type: ignore[no-untyped-call]
                encoder(part)
            times.append(time.perf_counter() - start)
    return min(times) / len(pixels)


def main() -> None:
    """Print one line per setting."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=512)
    images = parser.parse_args().images
    encoder = load_vision_encoder(VisionConfig("tf_efficientnet_lite0", weights="random", image_size=128))
    pixels = torch.randn(images, 3, 128, 128)
    first = seconds_per_image(encoder, pixels, torch.contiguous_format)
    last = seconds_per_image(encoder, pixels, torch.channels_last)
    keep_freed_memory()
    kept = seconds_per_image(encoder, pixels, torch.channels_last)
    pooled, tokens = (reading_times(images, count, encoder(pixels[:1]).shape[-1]) for count in (1, 49))
    print(f"encode, channels first: {first * 1e3:8.3f} ms an image, 1.00x")
    print(f"encode, channels last:  {last * 1e3:8.3f} ms an image, {first / last:.2f}x as fast")
    print(f"  and freed memory kept:{kept * 1e3:8.3f} ms an image, {first / kept:.2f}x as fast")
    for name, (once, again, plain) in (("pooled", pooled), ("49 tokens", tokens)):
        print(f"read {name}, first time: {once * 1e3:8.4f} ms an image, {first / once:.0f}x as fast as encoding")
        print(f"  verified before:    {again * 1e3:8.4f} ms an image, {again / once:.2f} of the first time")
        print(f"  without checksums:  {plain * 1e3:8.4f} ms an image, {again / plain:.2f}x: the cost once verified")


def reading_times(images: int, tokens: int, width: int) -> tuple[float, float, float]:
    """Seconds per image: read for the first time, again, and from a plain mapped array; in random order."""
    features = np.random.default_rng(0).random((images, tokens, width), dtype=np.float32)
    paths = [Path(f"{row}.png") for row in np.random.default_rng(1).permutation(images)]
    with tempfile.TemporaryDirectory() as folder:
        write_features(Path(folder), [f"{row}.png" for row in range(images)], np.array_split(features, 8))
        cache, mapped = FeatureCache(Path(folder)), np.load(Path(folder) / ARRAY, mmap_mode="r")
        rows = {path: int(path.stem) for path in paths}
        _read_all(lambda path: torch.from_numpy(np.concatenate([mapped[rows[path]]])), paths)  # from the disk
        once = _read_all(lambda path: cache([path]), paths)
        again = min(_read_all(lambda path: cache([path]), paths) for _ in range(3))
        plain = min(
            _read_all(lambda path: torch.from_numpy(np.concatenate([mapped[rows[path]]])), paths) for _ in range(3)
        )
    return once / images, again / images, plain / images


def _read_all(read: Callable[[Path], torch.Tensor], paths: list[Path]) -> float:
    start = time.perf_counter()
    for path in paths:
        read(path)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
