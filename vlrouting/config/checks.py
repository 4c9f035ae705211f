"""Sentences about values that a field cannot have."""

from __future__ import annotations


def one_of(key: str, value: str, known: tuple[str, ...]) -> list[str]:
    """A sentence when `value` is not among `known` (the caller adds the did-you-mean)."""
    return [] if value in known else [f"{key}: '{value}' is not one of {', '.join(known)}"]


def at_least(key: str, value: float, least: float) -> list[str]:
    """A sentence when the number is below `least`."""
    return [] if value >= least else [f"{key}: {value} is below {least:g}"]


def above(key: str, value: float, bound: float) -> list[str]:
    """A sentence when the number is not above `bound`."""
    return [] if value > bound else [f"{key}: {value} is not above {bound:g}"]
