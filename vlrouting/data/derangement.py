"""Which example gets whose image where images are swapped: drawn at random, repeatable, and nobody keeps their own."""

from __future__ import annotations

import random
from collections.abc import Hashable, Iterable
from typing import TypeVar

T = TypeVar("T", bound=Hashable)


def derangement(n: int, seed: int) -> list[int]:
    """A permutation of range(n) without a fixed point: number i gets what belongs to number `derangement(n, seed)[i]`.

    It is one random cycle through all numbers, so each of the n - 1 others is equally probable. It depends on the two
    arguments alone: of Python's generator only `random()` is used, whose sequence is the same in every version.

    Raises:
        ValueError: n is 1: there is no other.
    """
    if n == 1:
        raise ValueError("a single one cannot be swapped with another")
    generator = random.Random(seed)
    cycle = sorted(range(n), key=lambda _: generator.random())
    other = dict(zip(cycle, cycle[1:] + cycle[:1], strict=True))
    return [other[number] for number in range(n)]


def partners(owned: Iterable[T], seed: int) -> dict[T, T]:
    """Each different value -> the value that takes its place.

    Several examples may have one image: a derangement of the examples could give them their own image back, one of the
    different images cannot.

    Args:
        owned: what is swapped, such as `Example.images` of every example; repeated values count once.
        seed: of the derangement, over the values in the order in which they first appear.

    Raises:
        ValueError: all values are the same.
    """
    different = list(dict.fromkeys(owned))
    return {value: different[other] for value, other in zip(different, derangement(len(different), seed), strict=True)}
