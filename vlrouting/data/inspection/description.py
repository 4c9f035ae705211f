"""The facts of a split that a reader wants to see: counts, lengths of its texts, common answers, a few examples.

A run directory keeps them in `data.json`, and the report draws them. Imports no torch.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from vlrouting.data.datasets.evenly_spaced import evenly_spaced
from vlrouting.data.example import Example
from vlrouting.data.inspection.content import SplitContent

MOST_DESCRIBED = 50_000
"""Examples of a split that are looked at, so that it takes less than a second."""
MOST_TOKENIZED = 5_000
TOP_ANSWERS = 20
LONGEST = 200
"""Longer texts are counted with those of this length."""
MOST_CHARACTERS = 300
"""Of a text that is kept."""
MOST_REFERENCES = 10
"""Answers or captions of an example that are kept."""


@dataclass(frozen=True)
class Lengths:
    """How long texts are.

    Attributes:
        unit: `words` or `tokens`.
        counts: length -> number of texts; those longer than `LONGEST` are counted there.
        mean, least, most: of the lengths as they are.
        limit: tokens that training keeps of a text; None for words.
        limit_key: the key that sets it.
        over_limit: share of the texts that are longer, 0 to 1.
    """

    unit: str
    counts: dict[int, int]
    mean: float
    least: int
    most: int
    limit: int | None = None
    limit_key: str = ""
    over_limit: float = 0.0

    @classmethod
    def of(cls, unit: str, counts: Counter[int], limit: int | None = None, limit_key: str = "") -> Lengths:
        """From the number of texts of each length; there is at least one text."""
        total = counts.total()
        kept: Counter[int] = Counter()
        for length, count in counts.items():
            kept[min(length, LONGEST)] += count
        over = sum(count for length, count in counts.items() if limit is not None and length > limit)
        mean = sum(length * count for length, count in counts.items()) / total
        return cls(unit, dict(sorted(kept.items())), mean, min(counts), max(counts), limit, limit_key, over / total)


@dataclass(frozen=True)
class SplitDescription:
    """Counts and distributions of one split.

    Attributes:
        name: of the split.
        roles: what it is used for: `train`, `validation`, `test`.
        examples: all of the split.
        described: examples that the other numbers are of, evenly spaced over the split.
        images: distinct images; questions; captions.
        distinct_answers: of the questions.
        top_answers: answer -> number of questions whose most common answer it is, the commonest first.
        other_answers: number of questions that have another answer.
        lengths: in words, and in tokens where a tokenizer was given.
    """

    name: str
    roles: tuple[str, ...]
    examples: int
    described: int
    images: int
    questions: int
    captions: int
    distinct_answers: int
    top_answers: dict[str, int]
    other_answers: int
    lengths: tuple[Lengths, ...]

    @property
    def texts(self) -> str:
        """What the lengths are of."""
        return "captions" if self.captions else "questions"


@dataclass(frozen=True)
class ShownExample:
    """An example as a sheet shows it.

    Attributes:
        id: of the example.
        images: paths.
        text: the question; empty for an image to describe.
        references: each answer with how often it was given, the most common first; or the captions.
    """

    id: int | str
    images: tuple[str, ...]
    text: str
    references: tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class TokenCounter:
    """Counts the tokens of an example's texts.

    Attributes:
        count: examples -> the length of every text.
        limit: tokens that training keeps.
        limit_key: the key that sets it.
    """

    count: Callable[[Sequence[Example]], Iterable[int]]
    limit: int
    limit_key: str


def describe(
    name: str, examples: Sequence[Example], roles: Sequence[str] = (), tokens: TokenCounter | None = None
) -> SplitDescription:
    """Look at up to `MOST_DESCRIBED` examples of a split, and at the tokens of up to `MOST_TOKENIZED`.

    Args:
        name: of the split.
        examples: all of it.
        roles: what it is used for.
        tokens: counts tokens; None for none.
    """
    looked_at = evenly_spaced(examples, MOST_DESCRIBED)
    content = SplitContent.of(looked_at)
    top = content.answers.most_common(TOP_ANSWERS)
    lengths = [Lengths.of("words", content.words)] if content.words else []
    if tokens is not None and content.words:
        counted = Counter(tokens.count(evenly_spaced(examples, MOST_TOKENIZED)))
        lengths.append(Lengths.of("tokens", counted, tokens.limit, tokens.limit_key))
    return SplitDescription(
        name=name,
        roles=tuple(roles),
        examples=len(examples),
        described=len(looked_at),
        images=len(content.images),
        questions=content.questions,
        captions=content.captions,
        distinct_answers=len(content.answers),
        top_answers={_cut(answer): count for answer, count in top},
        other_answers=content.answers.total() - sum(count for _, count in top),
        lengths=tuple(lengths),
    )


def shown_examples(examples: Sequence[Example], count: int, seed: int = 0) -> list[ShownExample]:
    """At most `count` examples, drawn at random, the same ones for the same seed, in the order of the split."""
    chosen = random.Random(seed).sample(range(len(examples)), min(count, len(examples)))
    return [_shown(examples[position]) for position in sorted(chosen)]


def _shown(example: Example) -> ShownExample:
    by_score = sorted(example.labels, key=lambda answer: -example.labels[answer])
    references = Counter(example.answers or by_score).most_common(MOST_REFERENCES)
    cut = tuple((_cut(text), count) for text, count in references)
    return ShownExample(example.id, tuple(map(str, example.images)), _cut(example.text), cut)


def _cut(text: str) -> str:
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]} …"
