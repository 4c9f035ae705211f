"""The annotation files of a split, as the experiment names them."""

from __future__ import annotations

from pathlib import Path

from vlrouting.config import SplitConfig
from vlrouting.data.example import DataError
from vlrouting.data.fetch.missing import absent


def split_files(
    split_name: str, split: SplitConfig, required: str, description: str, unused: str = ""
) -> dict[str, str]:
    """The split's files: path below the data root -> configuration key.

    Args:
        split_name: name of the split.
        split: its configuration.
        required: the field that must name a file: `questions` or `annotations`.
        description: that file in words, for the error message.
        unused: the field that must be empty, if any.

    Raises:
        DataError: the required field is empty, or the unused one is not.
    """
    key = f"data.splits.{split_name}"
    if unused and getattr(split, unused):
        remedy = f"name {description} under {required} alone"
        raise DataError.about(f"{key}.{unused}", "has no meaning for this dataset", remedy)
    if not getattr(split, required):
        raise DataError.about(f"{key}.{required}", "is empty", f"give the name of {description}")
    fields = {f"{key}.questions": split.questions, f"{key}.annotations": split.annotations}
    return {path: field for field, path in fields.items() if path}


def require_files(dataset: str, root: Path, files: dict[str, str]) -> None:
    """Check that the files of a split exist.

    Raises:
        DataError: a file is missing; has one line per file, with the command that fetches it.
    """
    missing = absent(dataset, root, files)
    if missing:
        raise DataError.of_missing(missing)
