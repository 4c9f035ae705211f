"""From the configuration to examples: prepare, check that everything is there, read."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vlrouting.config import DataConfig
from vlrouting.data.datasets.presence import missing_files
from vlrouting.data.datasets.registry import chosen_splits, format_of, known_splits, recipe_of
from vlrouting.data.example import DataError, Example


def read_splits(
    data: DataConfig, splits: Sequence[str] | None = None, images: bool = True
) -> dict[str, Sequence[Example]]:
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
        raise DataError.of_missing(missing)
    root, recipe = Path(data.root), recipe_of(data)
    if recipe is not None:
        recipe.prepare(root)
    known = known_splits(data)
    return {name: format_of(data).read_split(root, name, known[name]) for name in names}
