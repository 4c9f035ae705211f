"""One question of GQA's kind: its words, its program over the scene, and what its answer tells of other questions.

Form of programs and types: https://cs.stanford.edu/people/dorarad/gqa/download.html
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from itertools import product

from vlrouting.shapes.scene import COLORS, SHAPES, SIZES, Thing
from vlrouting.shapes.words import Kind


@dataclass(frozen=True, slots=True)
class Step:
    """One operation of a program, on the results of earlier steps."""

    operation: str
    dependencies: tuple[int, ...]
    argument: str

    def __str__(self) -> str:
        words = f"{self.operation}: {self.argument}"
        return f"{words} {list(self.dependencies)}" if self.dependencies else words


@dataclass(frozen=True, slots=True)
class Referent:
    """One thing of the scene, by words that fit no other."""

    thing: Thing
    kind: Kind
    object_id: str

    @property
    def the(self) -> str:
        return f"the {self.kind.one()}"

    def steps(self, start: int = 0) -> tuple[Step, ...]:
        """The steps that find it; `start` is the number of the first."""
        return find(self.kind, self.object_id, start)


def find(kind: Kind, object_ids: str, start: int = 0) -> tuple[Step, ...]:
    """The steps to the things of a kind: by shape, then size and colour. `object_ids` names what they find."""
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
    """Answers of the right sort."""
    about: tuple[Referent, ...] = ()
    """The things that its words name."""
    group: str | None = None
    """Global group: what an open question asks for."""
    tells: frozenset[str] = frozenset()
    """What one knows of the scene from the question and its answer."""
    needs: frozenset[str] = frozenset()
    """What one must know of the scene to answer it."""

    @property
    def semantic_string(self) -> str:
        return "->".join(map(str, self.program))

    def entails(self, other: GqaQuestion) -> bool:
        """Whether the answer to `other` follows from this one's."""
        return bool(other.needs) and other.needs <= self.tells


@cache
def some(kind: Kind) -> frozenset[str]:
    """What is known once a thing of this kind has been seen: there is one of it, and of every wider kind."""
    wider = product(*({None, value} for value in (kind.size, kind.color, kind.shape)))
    return frozenset(f"some {Kind(*values).one()}" for values in wider)


@cache
def none(kind: Kind) -> frozenset[str]:
    """What is known once there is nothing of this kind: nor is there of any narrower kind."""
    narrower = product(
        *(
            (value,) if value else (None, *values)
            for value, values in ((kind.size, SIZES), (kind.color, COLORS), (kind.shape, SHAPES))
        )
    )
    return frozenset(f"no {Kind(*values).one()}" for values in narrower)
