"""The examples of a split in packed columns, in memory or mapped from a file."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from vlrouting.data.array_file import Arrays
from vlrouting.data.collector import paused_collector
from vlrouting.data.content_hash import ContentDigest
from vlrouting.data.datasets.columns import RowsBuilder, TableBuilder, TextBuilder, Texts, codes
from vlrouting.data.datasets.lazy_examples import Identity, LazyExamples
from vlrouting.data.example import Example, image_name


class StoredExamples(LazyExamples):
    """Examples that `pack` has stored; each access makes a new one, equal to what was stored.

    Worker processes share the columns without copying them. A process that is not forked (pickle) gets those of a file
    by its path.
    """

    def __init__(self, stored: Arrays, root: Path, official: Any = None, split: tuple[str, str] | None = None) -> None:
        """
        Args:
            stored: what `pack` gave.
            root: the data root.
            official: see `LazyExamples`.
            split: title and subject of the `identity`, which is None without.
        """
        self.stored, self.root, self.official, self._split = stored, root, official, split
        self.content = stored.facts["content"]
        self.identity = Identity(*split, self.content) if split is not None else None
        self._ids, self._texts = Texts(stored, "id"), Texts(stored, "text")
        self._images, self._words = Texts(stored, "image"), Texts(stored, "word")

    def __reduce__(self) -> tuple[Any, ...]:
        return StoredExamples, (self.stored, self.root, self.official, self._split)

    def __len__(self) -> int:
        return len(self._ids)

    def example(self, index: int) -> Example:
        """See `LazyExamples`."""
        stored, words = self.stored, self._words
        name = self._ids[index]
        labels = self._row("labels", index)
        scores = self.stored["scores"][labels].tolist()
        kind, question_kind, answer, group = stored["kinds"][index].tolist()
        return Example(
            id=int(name) if stored["id.number"][index] else name,
            images=tuple(map(self._image, stored["images"][self._row("images", index)].tolist())),
            text=self._texts[index],
            labels=dict(zip(map(words.__getitem__, stored["labels"][labels].tolist()), scores, strict=True)),
            answers=tuple(map(words.__getitem__, stored["answers"][self._row("answers", index)].tolist())),
            answer_type=words[kind],
            question_type=words[question_kind],
            answer=words[answer],
            group=words[group],
        )

    def texts(self) -> Iterable[str]:
        """See `LazyExamples`."""
        return self._texts

    def answers(self) -> Iterable[str]:
        """See `LazyExamples`."""
        distinct = list(self._words)
        return map(distinct.__getitem__, self.stored["kinds"][:, 2].tolist())

    def labels(self) -> Iterable[Mapping[str, float]]:
        """See `LazyExamples`."""
        answers = map(list(self._words).__getitem__, self.stored["labels"].tolist())
        pairs = zip(answers, self.stored["scores"].tolist(), strict=True)
        return (dict(islice(pairs, count)) for count in np.diff(self.stored["labels.ends"].astype(np.int64)).tolist())

    def images(self) -> set[Path]:
        """See `LazyExamples`."""
        return set(map(self._image, range(len(self._images))))

    def answer_counts(self) -> Mapping[str, int] | None:
        """See `LazyExamples`."""
        if not self.stored.facts["unique_ids"]:
            return None
        labelled = np.diff(self.stored["labels.ends"].astype(np.int64)) > 0
        counts = np.bincount(self.stored["kinds"][:, 2][labelled])
        return {self._words[code]: int(counts[code]) for code in np.flatnonzero(counts).tolist()}

    def image_paths(self) -> Iterable[str]:
        """The different images."""
        above = f"{self.root}/" if self.root.parts else ""
        below = self.stored["image.below"].tolist()
        return (above + name if inside else name for name, inside in zip(self._images, below, strict=True))

    def references(self) -> np.ndarray:
        """Number of `answers` of every example."""
        return np.diff(self.stored["answers.ends"].astype(np.int64))

    def all_references(self) -> Iterable[str]:
        """`answers` of one example after the other's."""
        distinct = list(self._words)
        return map(distinct.__getitem__, self.stored["answers"].tolist())

    def _row(self, column: str, index: int) -> slice:
        ends = self.stored[f"{column}.ends"]
        return slice(int(ends[index]), int(ends[index + 1]))

    def _image(self, code: int) -> Path:
        return self.root / self._images[code] if self.stored["image.below"][code] else Path(self._images[code])


def pack(examples: Iterable[Example], root: Path) -> Arrays:
    """The columns of examples, which are taken one by one.

    Facts: `content` (see `LazyExamples`), and whether the ids are known to be unique.
    """
    ids, texts, paths, words = TextBuilder(), TextBuilder(), TextBuilder(), TableBuilder()
    numbers, below = bytearray(), bytearray()
    images, labels, answers = RowsBuilder(), RowsBuilder(), RowsBuilder()
    scores, kinds = array("d"), array("I")
    names: dict[Path, tuple[int, str]] = {}
    hashes = array("q")
    digest, code = ContentDigest(), words.code

    def known(path: Path) -> tuple[int, str]:
        """Number and name (see `image_name`) of an image that is new."""
        whole = str(path)
        inside = _below(whole, root)
        found = names[path] = (len(names), image_name(path, root))
        paths.append(whole if inside is None else inside)
        below.append(inside is not None)
        return found

    with paused_collector():
        for example in examples:
            hashes.append(hash(example.id))
            ids.append(str(example.id))
            numbers.append(type(example.id) is int)
            texts.append(example.text)
            found = [names.get(path) or known(path) for path in example.images]
            images.numbers.extend([number for number, _ in found])
            images.end_row()
            labels.numbers.extend(map(code, example.labels))
            labels.end_row()
            scores.extend(example.labels.values())
            answers.numbers.extend(map(code, example.answers))
            answers.end_row()
            of_example = (example.answer_type, example.question_type, example.answer, example.group)
            kinds.extend(map(code, of_example))
            digest.add(example, [name for _, name in found])
    columns = {
        **ids.arrays("id"),
        "id.number": np.frombuffer(numbers, np.uint8),
        **texts.arrays("text"),
        **words.arrays("word"),
        **paths.arrays("image"),
        "image.below": np.frombuffer(below, np.uint8),
        **images.arrays("images"),
        **labels.arrays("labels"),
        "scores": np.array(scores, np.float64),
        **answers.arrays("answers"),
        "kinds": codes(kinds).reshape(-1, 4),
    }
    # Two ids with one hash, which are rare, are taken for equal; a set of all ids would take a hundred bytes of each.
    unique = len(np.unique(np.array(hashes))) == len(hashes)
    return Arrays(columns, {"content": digest.hexdigest(), "unique_ids": unique})


def _below(path: str, root: Path) -> str | None:
    """A path below the root, seen from there; None for one that lies elsewhere."""
    if not root.parts:
        return None if Path(path).is_absolute() else path
    return path.removeprefix(f"{root}/") if path.startswith(f"{root}/") else None
