"""From the configuration to examples: run the recipe, check that all files exist, read them or open their index."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

from vlrouting.config import DataConfig
from vlrouting.data.datasets.example_index import indexed
from vlrouting.data.datasets.presence import missing_files
from vlrouting.data.datasets.registry import chosen_splits, format_of, known_splits, recipe_of
from vlrouting.data.datasets.stored_examples import StoredExamples, pack
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
    return {name: stored_split(data, name, images) for name in names}


def stored_split(data: DataConfig, name: str, images: bool = True) -> Sequence[Example]:
    """The examples of a split whose files are there: packed, unless the reader gives a sequence of its own.

    Raises:
        DataError: the first invalid record.
    """
    root, dataset, split = Path(data.root), format_of(data, images), known_splits(data)[name]

    def read() -> Iterable[Example]:
        return dataset.read_split(root, name, split)

    title, settings = f"{data.name}-{name}", json.dumps([data.name, name, asdict(split), *dataset.settings])
    official = dataset.official(root, name, split) if dataset.official is not None else None
    if dataset.indexed:
        files = list(dataset.split_files(name, split))
        stored = indexed(read, root, title, settings, split=split, files=files)
        return StoredExamples(stored, root, official, (title, settings))
    found = read()
    if isinstance(found, Sequence):
        return found
    return StoredExamples(pack(found, root), root, official, (title, settings))
