"""What a point needs on disk. Imports no torch."""

from __future__ import annotations

from vlrouting.backbones.location import missing_backbones
from vlrouting.config import ExperimentConfig, Problem
from vlrouting.data.datasets.presence import missing_files


def missing_files_of(config: ExperimentConfig) -> list[Problem]:
    """A problem with its remedy for each file, image folder and backbone that is not there."""
    looks_at_images = config.model.visual_input == "image"
    return missing_files(config.data, images=looks_at_images) + missing_backbones(config)
