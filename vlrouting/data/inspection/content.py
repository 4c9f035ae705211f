"""What a split holds, counted in one pass over its examples; the examples themselves are not kept."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from vlrouting.data.example import Example


@dataclass
class SplitContent:
    """Counts of one split. Its memory grows with the distinct images and answers, and by 8 bytes for each question."""

    examples: int = 0
    images: set[str] = field(default_factory=set)
    """Paths of the distinct images."""
    images_per_example: int = 0
    """The largest number."""
    questions: int = 0
    """Examples with a text: questions or statements."""
    captions: int = 0
    unanswered: int = 0
    """Questions without answers."""
    answers: Counter[str] = field(default_factory=Counter)
    """The most common answer of a question -> number of such questions."""
    words: Counter[int] = field(default_factory=Counter)
    """Words of a question or a caption -> how many have that length."""
    _keys: array[int] = field(default_factory=lambda: array("q"), repr=False)
    """A hash of each example's images and question; 0 for one without a question."""

    def add(self, example: Example) -> None:
        """Count an example."""
        self.examples += 1
        images = tuple(map(str, example.images))
        self.images.update(images)
        self.images_per_example = max(self.images_per_example, len(images))
        if not example.text:
            self.captions += len(example.answers)
            self.words.update(len(caption.split()) for caption in example.answers)
            self._keys.append(0)
            return
        words = example.text.split()
        self.questions += 1
        self.words[len(words)] += 1
        self._keys.append(hash((images, " ".join(words).casefold())))
        if example.labels:
            self.answers[example.answer] += 1
        else:
            self.unanswered += not example.answers

    @classmethod
    def of(cls, examples: Iterable[Example]) -> SplitContent:
        """The content of all these examples."""
        content = cls()
        for example in examples:
            content.add(example)
        return content

    def repeated(self) -> list[tuple[int, int]]:
        """Positions of the examples that ask what an earlier one asks of the same images: that one's, and their own.
        Letter case and white space do not count."""
        keys = np.frombuffer(self._keys, dtype=np.int64)
        order = np.argsort(keys, kind="stable")
        ordered = keys[order]
        starts = np.flatnonzero(np.r_[True, ordered[1:] != ordered[:-1]]) if len(keys) else np.empty(0, np.int64)
        firsts = np.repeat(order[starts], np.diff(np.r_[starts, len(keys)]))
        later = (firsts != order) & (ordered != 0)
        pairs = sorted(zip(order[later].tolist(), firsts[later].tolist(), strict=True))
        return [(first, position) for position, first in pairs]
