"""A sequence that makes its examples on access."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, overload

from vlrouting.data.example import Example


@dataclass(frozen=True)
class Identity:
    """Which examples they are, and what they are made of: equal ones mean equal texts and answers."""

    title: str
    """For people."""
    subject: str
    """Data set, split, settings, and which part of it."""
    content: str
    """The digest of the whole split (`LazyExamples.content`)."""

    def part(self, which: str) -> Identity:
        """Of a part of the examples."""
        return replace(self, subject=f"{self.subject} {which}")


class LazyExamples(Sequence[Example]):
    """Indexing and slicing on top of `__len__` and `example`.

    What is asked of all examples at once has a method of its own, which need not make a million of them.

    Attributes:
        content: a digest of ids, texts, references, soft scores and image names, in their order: equal ones mean equal
            examples, on every machine. None where it has not been computed.
        identity: what the texts and answers of the examples follow from. None where nothing of that kind is known.
        official: what the dataset's metric reads beside the examples (`DatasetFormat.official`).
    """

    content: str | None = None
    identity: Identity | None = None
    official: Any = None

    @abstractmethod
    def example(self, index: int) -> Example:
        """The example at `index`, 0 <= index < len(self)."""

    def texts(self) -> Iterable[str]:
        """`text` of every example."""
        return (example.text for example in self)

    def answers(self) -> Iterable[str]:
        """`answer` of every example."""
        return (example.answer for example in self)

    def labels(self) -> Iterable[Mapping[str, float]]:
        """`labels` of every example."""
        return (example.labels for example in self)

    def images(self) -> set[Path]:
        """The images of all examples."""
        return {path for example in self for path in example.images}

    def answer_counts(self) -> Mapping[str, int] | None:
        """`answer` -> labelled examples that have it; None where ids occur twice, or the examples must be asked."""
        return None

    @overload
    def __getitem__(self, index: int) -> Example: ...

    @overload
    def __getitem__(self, index: slice) -> list[Example]: ...

    def __getitem__(self, index: int | slice) -> Example | list[Example]:
        """One example, or a list of examples."""
        if isinstance(index, slice):
            return [self.example(number) for number in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f"there is no example {index} among {len(self)}")
        return self.example(index % len(self))


def texts_of(examples: Sequence[Example]) -> Iterable[str]:
    """`text` of every example, of a list too."""
    return examples.texts() if isinstance(examples, LazyExamples) else (example.text for example in examples)


def answers_of(examples: Sequence[Example]) -> Iterable[str]:
    """`answer` of every example, of a list too."""
    return examples.answers() if isinstance(examples, LazyExamples) else (example.answer for example in examples)


def labels_of(examples: Sequence[Example]) -> Iterable[Mapping[str, float]]:
    """`labels` of every example, of a list too."""
    return examples.labels() if isinstance(examples, LazyExamples) else (example.labels for example in examples)


def images_of(examples: Sequence[Example]) -> set[Path]:
    """The images of all examples, of a list too."""
    if isinstance(examples, LazyExamples):
        return examples.images()
    return {path for example in examples for path in example.images}


def identity_of(examples: Sequence[Example]) -> Identity | None:
    """`LazyExamples.identity`; None of a list."""
    return examples.identity if isinstance(examples, LazyExamples) else None
