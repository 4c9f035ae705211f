"""From the configuration to examples: prepare, check that everything is there, read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vlrouting.config import DataConfig
from vlrouting.data.example import DataError, Example
from vlrouting.data.presence import missing_files
from vlrouting.data.registry import PREPARE, READERS, chosen_splits, known_splits


def read_splits(data: DataConfig, splits: Sequence[str] | None = None, images: bool = True) -> dict[str, list[Example]]:
    """Examples by split name, after making the files where the experiment has a recipe for it.

    Args:
        data: the section of the experiment.
        splits: names to read. Default: all that the experiment uses.
        images: the image folders must be there too (false where nothing looks at an image).

    Raises:
        DataError: one sentence for each thing that is missing, with its remedy; or the first broken record.
    """
    names = chosen_splits(data) if splits is None else splits
    missing = missing_files(data, names, images)
    if missing:
        raise DataError("\n".join(missing))
    root = Path(data.root)
    if data.prepare is not None:
        PREPARE[data.prepare](root)
    known = known_splits(data)
    return {name: READERS[data.name](root, name, known[name]) for name in names}
