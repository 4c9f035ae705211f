"""Which files of a folder are the table: those named after splits, or exactly one."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from vlrouting.config import DataConfig
from vlrouting.config.names import listed
from vlrouting.data.example import DataError

EXTENSIONS = (".jsonl", ".ndjson", ".csv", ".tsv", ".parquet", ".arrow")
ALIASES = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val", "dev": "val",
    "test": "test", "testing": "test",
}  # fmt: skip
"""Name of a file, or value of the column `split` -> the split."""
FOLDERS = ("", "data")
"""Below the data root, where tables are looked for; `data` is where Hugging Face keeps its files."""
_SHARD = re.compile(r"(?P<name>.*?)-(?P<number>\d{5})-of-\d{5}")
_ARROW = (".parquet", ".arrow")
_ELSE = {
    ".json": "write it as JSON Lines, an object per line",
    ".xlsx": "save the sheet as CSV in UTF-8",
    ".xls": "save the sheet as CSV in UTF-8",
    ".ods": "save the sheet as CSV in UTF-8",
    ".txt": "save it as CSV or TSV, with the names of the columns in the first line",
}
"""Ends of the names of files that may be meant to be a table, and what to do with them."""
Paths = tuple[Path, ...]


@dataclass(frozen=True)
class Tables:
    """Where the rows are: either one table for all splits, or files for each."""

    whole: Paths = ()
    of_split: Mapping[str, Paths] | None = None

    @property
    def files(self) -> tuple[tuple[Path, str | None], ...]:
        """Every file, and the split that it is of: train comes first; None where it is a part of the one table."""
        if self.of_split is None:
            return tuple((path, None) for path in self.whole)
        ordered = sorted(self.of_split, key=lambda name: name != "train")
        return tuple((path, name) for name in ordered for path in self.of_split[name])


def find_tables(data: DataConfig) -> Tables:
    """The tables below the data root; those that `data.splits` names come first.

    Raises:
        DataError: there is none, or it is not clear which; with the key of the configuration.
    """
    root = Path(data.root)
    given = {name: _named(root, name, split.questions) for name, split in data.splits.items() if split.questions}
    named, others = _found(root)
    of_split = {**{name: _one_table(root, name, files) for name, files in named.items() if name not in given}, **given}
    distinct = set(of_split.values())
    if len(distinct) == 1 and (set(of_split) == {"train"} or len(of_split) > 1):
        return Tables(whole=distinct.pop())
    if of_split:
        return Tables(of_split=of_split)
    if len(others) == 1:
        return Tables(whole=tuple(next(iter(others.values()))))
    raise _unclear(root, others) if others else _none(root)


def _named(root: Path, name: str, pattern: str) -> Paths:
    """The files that a split names, also those that are not there."""
    if "*" not in pattern:
        return (root / pattern,)
    found = tuple(sorted(root.glob(pattern))) if not pattern.startswith("/") else ()
    if not found:
        raise DataError.about(f"data.splits.{name}.questions", f"no file below {root} fits '{pattern}'", "correct it")
    return found


def _found(root: Path) -> tuple[dict[str, list[Path]], dict[str, list[Path]]]:
    """Files by split, and all other tables: the parts of one together, under its name."""
    named: dict[str, list[Path]] = {}
    others: dict[str, list[Path]] = {}
    for path, split in _candidates(root):
        if split is not None:
            named.setdefault(split, []).append(path)
        else:
            match = _SHARD.fullmatch(path.stem)
            name = f"{match['name']}{path.suffix}" if match is not None else path.name
            others.setdefault(str(path.parent / name), []).append(path)
    return named, others


def _candidates(root: Path) -> Iterator[tuple[Path, str | None]]:
    for folder in FOLDERS:
        for entry in _entries(root / folder):
            path, split = root / folder / entry.name, split_of_name(entry.name)
            if entry.is_dir():
                if split is not None:  # `train/data-00000-of-00001.arrow`, as save_to_disk writes
                    files = (root / folder / entry.name / inner.name for inner in _entries(Path(entry.path)))
                    yield from ((file, split) for file in files if file.suffix in _ARROW)
            elif path.suffix.lower() in EXTENSIONS:
                yield path, split


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    """In order of their names, without hidden files and those that Hugging Face's library keeps for itself."""
    try:
        with os.scandir(folder) as entries:
            kept = [entry for entry in entries if not entry.name.startswith((".", "~", "cache-"))]
    except OSError:
        return []
    return sorted(kept, key=lambda entry: entry.name)


def split_of_name(name: str) -> str | None:
    """The split that a file or folder is named after: `valid.csv`, `train-00000-of-00002.parquet`."""
    stem = Path(name).stem
    match = _SHARD.fullmatch(stem)
    return ALIASES.get((match["name"] if match is not None else stem).lower())


def _one_table(root: Path, name: str, files: list[Path]) -> Paths:
    """The files of a split, which are one or the parts of one."""
    parts = {(_SHARD.sub("", path.stem) if _SHARD.fullmatch(path.stem) else path.stem, path.suffix) for path in files}
    folders = {path.parent for path in files}
    if len(files) > 1 and (len(parts) > 1 or len(folders) > 1):
        shown = listed(_below(root, files))
        message = f"{root} has several tables for the split '{name}': {shown}"
        raise DataError.about(
            "data.root", message, f"name one in data.splits.{name}.questions, or move the others away"
        )
    return tuple(sorted(files))


def _unclear(root: Path, others: Mapping[str, list[Path]]) -> DataError:
    shown = listed(_below(root, (files[0] for files in others.values())))
    remedy = "name one in data.splits.train.questions, or call them train.…, val.… and test.…"
    return DataError.about(
        "data.root", f"{root} has several tables, so it is not clear which is meant: {shown}", remedy
    )


def _none(root: Path) -> DataError:
    for entry in _entries(root):
        remedy = _ELSE.get(Path(entry.name).suffix.lower())
        if remedy is not None and entry.is_file():
            return DataError.about("data.root", f"{root} has no table; {entry.name} is not read", remedy)
    message = f"{root} has no table ({', '.join('*' + end for end in EXTENSIONS[:-1])})"
    return DataError.about("data.root", message, "put one there, or correct the folder")


def _below(root: Path, paths: Iterable[Path]) -> list[str]:
    return [str(path.relative_to(root)) if path.is_relative_to(root) else str(path) for path in paths]
