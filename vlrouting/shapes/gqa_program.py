"""A GQA question: its text, its program over the scene, and the facts that its answer implies.

Format of programs and types: https://cs.stanford.edu/people/dorarad/gqa/download.html
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import product

from vlrouting.shapes.scene import COLORS, SHAPES, SIZES, Thing
from vlrouting.shapes.words import Kind


@dataclass(frozen=True, slots=True)
class Step:
    """One operation of a program, applied to the results of earlier steps."""

    operation: str
    dependencies: tuple[int, ...]
    argument: str

    def __str__(self) -> str:
        words = f"{self.operation}: {self.argument}"
        return f"{words} {list(self.dependencies)}" if self.dependencies else words


@dataclass(frozen=True, slots=True)
class Referent:
    """One thing of the scene, and the kind that only it belongs to."""

    thing: Thing
    kind: Kind
    object_id: str

    @property
    def the(self) -> str:
        return f"the {self.kind.one()}"

    def steps(self, start: int = 0) -> tuple[Step, ...]:
        """The steps that find the thing; `start` is the index of the first step."""
        return find(self.kind, self.object_id, start)


def find(kind: Kind, object_ids: str, start: int = 0) -> tuple[Step, ...]:
    """The steps that find the things of a kind: by shape, then size and colour. `object_ids` is their result."""
    steps = [Step("select", (), f"{kind.shape or 'shape'} ({object_ids})")]
    for operation, value in (("filter size", kind.size), ("filter color", kind.color)):
        if value is not None:
            steps.append(Step(operation, (start + len(steps) - 1,), value))
    return tuple(steps)


@dataclass(frozen=True, slots=True)
class GqaQuestion:
    """A question with its true answer."""

    text: str
    answer: str
    full_answer: str
    program: tuple[Step, ...]
    types: tuple[str, str, str]
    """Detailed, semantic and structural type."""
    valid: tuple[str, ...]
    """Answers of the right type."""
    about: tuple[Referent, ...] = ()
    """The things that the text mentions."""
    group: str | None = None
    """Global group: the attribute that an open question asks for."""
    tells: frozenset[str] = frozenset()
    """Facts about the scene that the question and its answer imply."""
    needs: frozenset[str] = frozenset()
    """Facts about the scene that determine the answer."""

    @property
    def semantic_string(self) -> str:
        return "->".join(map(str, self.program))

    def entails(self, other: GqaQuestion) -> bool:
        """Whether this question's answer implies the answer to `other`."""
        return bool(other.needs) and other.needs <= self.tells


@cache
def some(kind: Kind) -> frozenset[str]:
    """Facts implied by the existence of a thing of this kind: it exists, and so does one of every wider kind."""
    wider = product(*({None, value} for value in (kind.size, kind.color, kind.shape)))
    return frozenset(f"some {Kind(*values).one()}" for values in wider)


@cache
def none(kind: Kind) -> frozenset[str]:
    """Facts implied by the absence of things of this kind: they are absent, and so is every narrower kind."""
    narrower = product(
        *(
            (value,) if value else (None, *values)
            for value, values in ((kind.size, SIZES), (kind.color, COLORS), (kind.shape, SHAPES))
        )
    )
    return frozenset(f"no {Kind(*values).one()}" for values in narrower)
