"""Randomness as a function of (seed, phase, batch): a run that was cut off draws what it would have drawn."""

from __future__ import annotations

import hashlib

import torch


def seed_step(seed: int, phase: str, batch_index: int, rank: int = 0) -> None:
    """Seed torch's generators (CPU and GPU) for one batch.

    So no generator's state needs saving, and a validation in between changes nothing.
    """
    digest = hashlib.blake2b(f"{seed}/{phase}/{batch_index}/{rank}".encode(), digest_size=8).digest()
    torch.manual_seed(int.from_bytes(digest, "big") >> 1)
