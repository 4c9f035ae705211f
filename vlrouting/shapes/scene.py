"""The content of an image: one to four things on a grid of three rows and three columns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

COLORS: dict[str, tuple[int, int, int]] = {
    "red": (220, 40, 40),
    "green": (40, 160, 70),
    "blue": (40, 90, 220),
    "yellow": (245, 210, 40),
    "purple": (150, 60, 190),
    "orange": (245, 130, 30),
}
"""Colour name -> RGB."""
SHAPES = ("circle", "square", "triangle", "star", "cross")
SIZES = ("small", "large")
ROWS = ("top", "middle", "bottom")
"""Names of rows 0, 1, 2."""
COLUMNS = ("left", "center", "right")
"""Names of columns 0, 1, 2."""
MOST_THINGS = 4

HELD_OUT = frozenset(
    {("red", "triangle"), ("green", "star"), ("blue", "cross"), ("yellow", "square"), ("purple", "circle")}
)
"""Combinations of colour and shape that only test scenes show; each colour and each shape also occurs in training."""
ALL = tuple((color, shape) for color in COLORS for shape in SHAPES)
SEEN = tuple(pair for pair in ALL if pair not in HELD_OUT)
"""Combinations of colour and shape that every split shows."""

_COUNT_WEIGHTS = (2, 3, 3, 2)
"""Relative frequency of scenes with 1, 2, 3, 4 things."""
_JITTER = {"small": 12, "large": 4}
"""Largest shift from the cell's centre, in quarters of a pixel."""
_BACKGROUND = (222, 246)


@dataclass(frozen=True, slots=True)
class Thing:
    """One thing: its look, its cell, and its shift from the cell's centre in pixels (multiples of a quarter)."""

    color: str
    shape: str
    size: str
    row: int
    column: int
    dx: float
    dy: float

    @property
    def held_out(self) -> bool:
        """Whether training and validation never show this combination of colour and shape."""
        return (self.color, self.shape) in HELD_OUT


@dataclass(frozen=True, slots=True)
class Scene:
    """One to four things in reading order (by row, then column), at most one per cell, on a gray background."""

    things: tuple[Thing, ...]
    background: int = 234
    """Gray level of the background, 0 to 255."""

    def __post_init__(self) -> None:
        cells = [(thing.row, thing.column) for thing in self.things]
        if not 1 <= len(cells) <= MOST_THINGS or cells != sorted(set(cells)):
            raise ValueError(f"a scene has 1 to {MOST_THINGS} things in reading order, one a cell; its cells: {cells}")


RELATIONS: dict[str, Callable[[Thing, Thing], bool]] = {
    "to the left of": lambda first, second: first.column < second.column,
    "to the right of": lambda first, second: first.column > second.column,
    "above": lambda first, second: first.row < second.row,
    "below": lambda first, second: first.row > second.row,
}
"""Spatial relations of the first thing to the second. They compare cells, so they are never ambiguous."""


def random_scene(random: Random, held_out: bool | None) -> Scene:
    """A random scene.

    Args:
        random: the random generator.
        held_out: False for no combination in HELD_OUT, True for at least one, None for no restriction.
    """
    count = random.choices(range(1, MOST_THINGS + 1), _COUNT_WEIGHTS)[0]
    known = SEEN if held_out is False else ALL
    colors = [random.choice(list(COLORS)) for _ in range(count)]
    # Colour first, then an allowed shape: this makes all colours equally frequent, and all shapes too.
    pairs = [random.choice([pair for pair in known if pair[0] == color]) for color in colors]
    if held_out and HELD_OUT.isdisjoint(pairs):
        pairs[random.randrange(count)] = random.choice(sorted(HELD_OUT))
    things = []
    for cell, (color, shape) in zip(sorted(random.sample(range(9), count)), pairs, strict=True):
        size = random.choice(SIZES)
        dx, dy = (random.randint(-_JITTER[size], _JITTER[size]) / 4 for _ in range(2))
        things.append(Thing(color, shape, size, *divmod(cell, 3), dx, dy))
    return Scene(tuple(things), random.randint(*_BACKGROUND))
