"""From the configuration to examples: run the recipe, check that all files exist, read them."""

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
    """Examples by split name. A recipe (`data.prepare`) makes its files first.

    Args:
        data: the section of the experiment.
        splits: names to read. Default: all splits that the experiment uses.
        images: whether the image folders must exist (false for a text-only baseline).

    Raises:
        DataError: one line for each missing file, with its remedy; or the first invalid record.
    """
    names = chosen_splits(data) if splits is None else splits
    missing = missing_files(data, names, images)
    if missing:
        raise DataError.of_missing(missing)
    root, recipe = Path(data.root), recipe_of(data)
    if recipe is not None:
        recipe.prepare(root)
    known, dataset = known_splits(data), format_of(data, images)
    found = {name: dataset.read_split(root, name, known[name]) for name in names}
    return {name: split if isinstance(split, Sequence) else list(split) for name, split in found.items()}
