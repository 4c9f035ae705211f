"""What a point needs on disk. Imports no torch."""

from __future__ import annotations

from vlrouting.backbones.location import missing_backbones
from vlrouting.config import ExperimentConfig, Problem
from vlrouting.data.datasets.presence import missing_files


def missing_files_of(config: ExperimentConfig) -> list[Problem]:
    """A problem with its remedy for each file, image folder and backbone that is not there."""
    return missing_files(config.data, images=config.uses_image) + missing_backbones(config)
