"""What a user's table has: counts of its rows, pictures and answers, and how long its texts are."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from vlrouting.data.example import Example

_WORD = re.compile(r"\w+|[^\w\s]")


@dataclass(frozen=True)
class SplitSize:
    """How much a split holds."""

    rows: int
    pictures: int


@dataclass
class TextLength:
    """The longest of some texts."""

    words: int = 0
    """Words and punctuation marks."""
    letters: int = 0
    """Bytes of UTF-8."""

    def add(self, text: str) -> None:
        """Count one more text."""
        letters = len(text.encode("utf-8", "replace"))
        self.letters = max(self.letters, letters)
        if letters > self.words:  # else it cannot have more
            self.words = max(self.words, len(_WORD.findall(text)))


@dataclass
class Findings:
    """What a table has."""

    splits: dict[str, SplitSize] = field(default_factory=dict)
    images_per_row: int = 1
    texts: TextLength = field(default_factory=TextLength)
    """Questions."""
    targets: TextLength = field(default_factory=TextLength)
    """Answers or captions."""
    answers: Counter[str] = field(default_factory=Counter)
    """Answer, normalised as the metric does it -> rows of which it is the most common one; empty for captions."""
    references: tuple[int, int] = (1, 1)
    """Fewest and most answers or captions of a row."""
    used: set[Path] = field(default_factory=set)
    """Pictures that are in some row."""

    @property
    def rows(self) -> int:
        """Rows of all splits."""
        return sum(split.rows for split in self.splits.values())

    @property
    def repeated_share(self) -> float:
        """Share of the rows whose answer is that of another row too."""
        total = sum(self.answers.values())
        return sum(count for count in self.answers.values() if count > 1) / total if total else 0.0


def look_at(splits: Mapping[str, Sequence[Example]], normalize: Callable[[str], str], captions: bool) -> Findings:
    """Count what the examples of a table have.

    Args:
        splits: name -> examples.
        normalize: makes equal the answers that the metric takes for equal.
        captions: whether the examples are captioned pictures, not questions.
    """
    found = Findings()
    fewest, most = [], []
    for name, examples in splits.items():
        pictures: set[Path] = set()
        for example in examples:
            pictures.update(example.images)
            found.texts.add(example.text)
            for target in example.answers:
                found.targets.add(target)
            if not captions and example.answer:
                found.answers[normalize(example.answer)] += 1
        found.splits[name] = SplitSize(len(examples), len(pictures))
        found.used |= pictures
        counts = [len(example.answers) for example in examples]
        fewest.append(min(counts, default=1))
        most.append(max(counts, default=1))
    found.references = (min(fewest), max(most))
    found.images_per_row = max(len(examples[0].images) for examples in splits.values() if len(examples))
    return found
