"""Time saved by the visual feature cache, and the fastest settings of the encoder on a CPU.

    python benchmarks/feature_cache.py --images 512

Encodes the same random pixels with the demo's EfficientNet-Lite0 in both memory formats, then with the allocator
keeping freed memory, then reads computed features. All are measured in one run: compare the ratios, not the seconds.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import torch

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
    features = np.random.default_rng(0).random((images, 1, encoder.width), dtype=np.float32)
    start = time.perf_counter()
    for row in features:
        torch.from_numpy(row.copy())
    read = (time.perf_counter() - start) / images
    print(f"encode, channels first: {first * 1e3:8.3f} ms an image, 1.00x")
    print(f"encode, channels last:  {last * 1e3:8.3f} ms an image, {first / last:.2f}x as fast")
    print(f"  and freed memory kept:{kept * 1e3:8.3f} ms an image, {first / kept:.2f}x as fast")
    print(f"read from the cache:    {read * 1e3:8.3f} ms an image, {first / read:.0f}x as fast")


if __name__ == "__main__":
    main()
