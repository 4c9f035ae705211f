"""What is known of one dataset's official files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vlrouting.config import SplitConfig
from vlrouting.data.example import Example


@dataclass(frozen=True)
class DatasetFormat:
    """One dataset's official files. Paths are below the data root, keys those of the configuration."""

    read_split: Callable[[Path, str, SplitConfig], Iterable[Example]]
    """Root, name of the split, its files -> its examples, checked. Raises DataError. What it yields one by one is
    stored in packed columns (`stored_examples`); a sequence that it returns is used as it is."""
    splits: Mapping[str, SplitConfig]
    """Splits that need no entry in `data.splits`: those of the official file names."""
    split_files: Callable[[str, SplitConfig], dict[str, str]]
    """Name of the split, its files -> path of each -> key. Raises DataError when the split names none."""
    image_folders: Callable[[Path, str, SplitConfig], dict[str, str]]
    """Root, name of the split, its files -> path of each folder of images -> key. Raises DataError for a template."""
    normalize_answer: Callable[[str], str] = str
    """An answer -> what stands for it in a vocabulary that is built. Default: the answer itself."""
    images: int = 1
    """How many an example has."""
    official: Callable[[Path, str, SplitConfig], Any] | None = None
    """Root, name of the split, its files -> what the metric reads beside the examples; nothing is read before it asks.
    Default: nothing."""
    indexed: bool = False
    """Whether examples that were read are kept in a file, for the next start. Only for a reader in this package, whose
    examples depend on nothing but `split_files` and the settings of the split, and whose images an `ImageTemplate`
    names."""
