"""What is known of one dataset's official files."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vlrouting.config import Problem, SplitConfig
from vlrouting.data.example import Example


def _no_problems(splits: Sequence[str]) -> list[Problem]:
    return []


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
    images: int | Callable[[], int] = 1
    """How many an example has, or what finds it out from the files (1 where it cannot)."""
    problems: Callable[[Sequence[str]], list[Problem]] = _no_problems
    """Names of splits -> what is wrong with their files at a first look: quick, for `vlrouting validate`."""
    official: Callable[[Path, str, SplitConfig], Any] | None = None
    """Root, name of the split, its files -> what the metric reads beside the examples; nothing is read before it asks.
    Default: nothing."""
    indexed: bool = False
    """Whether examples that were read are kept in a file, for the next start. Only for a reader in this package, whose
    examples depend on nothing but `split_files`, the settings of the split and `settings`, and whose images lie below
    the root, or where an `ImageTemplate` names them."""
    settings: Sequence[object] = ()
    """What the examples depend on beside the files and the settings of the split; has a JSON form."""

    @property
    def images_per_example(self) -> int:
        """How many images an example has."""
        return self.images if isinstance(self.images, int) else self.images()
