"""Checks a user's tables as a whole, before anything is made of them."""

from __future__ import annotations

import logging
from array import array
from collections import Counter
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

from vlrouting.config import SplitShares
from vlrouting.config.names import counted, listed
from vlrouting.data.datasets.table.columns import log_ignored
from vlrouting.data.datasets.table.images import ImageFiles
from vlrouting.data.datasets.table.made_splits import MadeSplits, image_key
from vlrouting.data.datasets.table.mistakes import Complain, Mistakes
from vlrouting.data.datasets.table.record import Row
from vlrouting.data.datasets.table.source import TableSource

log = logging.getLogger(__name__)


@dataclass
class CheckedTable:
    """What is known of valid tables."""

    images: ImageFiles
    images_per_row: int | None = None
    splits: list[str] = field(default_factory=list)
    """Names of the splits, by number."""
    numbers: list[array[int]] = field(default_factory=list)
    """Of each file in its order: the number of each row's split."""

    def number(self, split: str) -> int:
        """The number of a split; gives it one."""
        if split not in self.splits:
            self.splits.append(split)
        return self.splits.index(split)


@lru_cache(maxsize=2)
def checked_table(source: TableSource) -> CheckedTable:
    """Read all tables and see that every row is valid; a warning for images that are in two given splits.

    Raises:
        DataError: something is wrong; a line for each kind of mistake.
    """
    unprepared = [rows for rows in (source.rows(path) for path, _ in source.files) if not rows.is_prepared]
    if unprepared:  # to extract their pictures takes long, so all else is looked at first
        _Check(replace(source, images=False)).all_files()
        for rows in unprepared:
            rows.prepare()
    check = _Check(source)
    check.all_files()
    check.splits()
    check.warn()
    return check.table


@dataclass
class _Check:
    """What one pass over all tables finds."""

    source: TableSource
    mistakes: Mistakes = field(default_factory=Mistakes)
    ids: dict[tuple[str, str], int] = field(default_factory=dict)
    """Split and id -> hash of the row's images."""
    answered: Counter[str] = field(default_factory=Counter)
    """Rows with answers (or captions), by split."""
    unanswered: dict[tuple[str, Path], array[int]] = field(default_factory=dict)
    """Lines of the others."""
    nodes: array[int] = field(default_factory=lambda: array("Q"))
    """Of each row without a given split (see `MadeSplits`)."""
    split_of_image: dict[int, str] = field(default_factory=dict)
    shared: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    """Two given splits -> images that are in both."""

    def __post_init__(self) -> None:
        self.table = CheckedTable(ImageFiles(self.source.root, self.source.images))
        self.made = MadeSplits(self.source.seed, SplitShares(*self.source.shares))

    def all_files(self) -> None:
        """Look at every row.

        Raises:
            DataError: something is wrong.
        """
        for path, split in self.source.files:
            self.table.numbers.append(array("H"))
            self._file(path, split)
        self._answers()
        self.mistakes.raise_any()

    def _file(self, path: Path, split: str | None) -> None:
        rows = self.source.rows(path)
        complain = self.mistakes.of(path, rows.unit)
        columns = rows.columns(complain)
        if columns is None:
            return
        if rows.fixed and not self.source.check_columns(columns, rows, split, complain):
            return
        log_ignored(path, columns)
        reader = self.source.reader(columns, rows, self.table.images, self.table.images_per_row, complain)
        empty = True
        for number, record in rows.records(complain):
            empty = False
            row = reader.read(number, record)
            if row is not None:
                self._row(path, split, number, row, complain)
        self.table.images_per_row = reader.images_per_row
        if empty and not self.mistakes:
            complain(None, "has no rows", "add some")

    def _row(self, path: Path, of_file: str | None, number: int, row: Row, complain: Complain) -> None:
        if of_file is not None and row.split not in ("", of_file):
            what = f"the row's split is not that of its file, '{of_file}'"
            complain(number, what, "move the row, or remove the column", f"'{row.split}'")
        split = of_file or row.split
        if row.id:
            self._id(split, row, number, complain)
        if split:
            self._given(split, row)
        else:
            self.nodes.append(self.made.add(row.images, row.group))
        self.table.numbers[-1].append(self.table.number(split))
        if row.answers:
            self.answered[split] += 1
        else:
            self.unanswered.setdefault((split, path), array("q")).append(number)

    def _id(self, split: str, row: Row, number: int, complain: Complain) -> None:
        images, known = hash(row.images), self.ids.get((split, row.id))
        self.ids[split, row.id] = images
        if known is None or (self.source.target == "caption" and known == images):
            return  # several captions of an image may share its id
        what = "the id is that of a row before" + (" with another image" if self.source.target == "caption" else "")
        complain(number, what, "give every row an id of its own, or remove the column", f"'{row.id}'")

    def _given(self, split: str, row: Row) -> None:
        for image in row.images:
            other = self.split_of_image.setdefault(hash(image_key(image)), split)
            if other != split:
                self.shared.setdefault((other, split), []).append(image)

    def _answers(self) -> None:
        """Mistakes for rows without an answer, unless the whole split has none and need not."""
        for (split, path), numbers in self.unanswered.items():
            if self.answered[split] or self.source.needs_answers(split or None):
                complain = self.mistakes.of(path, self.source.rows(path).unit)
                for number in numbers:
                    complain(number, "the answer is empty", "write it, or remove the row")

    def splits(self) -> None:
        """See that every chosen split has rows, and make the splits where none are given.

        Raises:
            DataError: one has none.
        """
        found = Counter(self.answered) + Counter({split: len(n) for (split, _), n in self.unanswered.items()})
        if self.nodes:
            sets = {self.made.root_of(node) for node in self.nodes}
            found = Counter(map(self.made.split_of, sets))
            made = iter(self.nodes)
            for numbers in self.table.numbers:  # of one table, whose rows all have a node
                numbers[:] = array("H", (self.table.number(self.made.split_of(next(made))) for _ in numbers))
        for split, role in self.source.roles:
            if found[split] or any(split == of_file for _, of_file in self.source.files):
                continue
            complain = self.mistakes.of(self.source.files[0][0])
            if self.nodes:
                what = f"none of {counted(len(sets), 'set')} of rows that share an image or group is in '{split}'"
                seed = self.made.other_seed(sets, dict(self.source.roles))
                other = f"set data.split_seed: {seed}, or " if seed is not None else ""
                complain(None, what, f"{other}add rows, or a column 'split', or change data.split_shares")
            else:
                remedy = f"mark some, or set data.{role} to one of {listed(found)}"
                complain(None, f"no row has the split '{split}'", remedy + (" or null" if role == "validation" else ""))
        self.mistakes.raise_any()

    def warn(self) -> None:
        """Tell which given splits share images."""
        for (one, other), images in self.shared.items():
            count = counted(len(set(images)), "image")
            text = "%s: the splits '%s' and '%s' share %s, such as %s: the scores may be too good"
            log.warning(text, self.source.root, one, other, count, images[0])
