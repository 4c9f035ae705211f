"""Transforms: changes of a loaded backbone before anything is attached."""

from __future__ import annotations

from dataclasses import dataclass

from vlrouting.config.problem import Problem
from vlrouting.config.registry import Registry


@dataclass
class TransformConfig:
    """One transform of a backbone. Each transform has a subclass with its own keys."""

    def problems(self) -> list[Problem]:
        """What is wrong with the section, keys relative to it."""
        return []


TRANSFORMS: Registry[type[TransformConfig]] = Registry("transform", {})
"""Key of `vision.transforms` or `language.transforms` -> config dataclass and function (`vlrouting.transforms`)."""
