"""Colours, shapes and sizes that a scene does not show, for questions with the answer "no".

A scene without held-out combinations of colour and shape gets no question about one: otherwise training would teach
that such things do not exist.
"""

from __future__ import annotations

from random import Random

from vlrouting.shapes.scene import ALL, COLORS, SEEN, SHAPES, SIZES, Scene, Thing


def absent_pair(scene: Scene, random: Random) -> tuple[str, str]:
    """A colour and a shape that no thing has together; half the time both occur in the scene, on different things."""
    shown = {(thing.color, thing.shape) for thing in scene.things}
    pairs = [pair for pair in _known(scene) if pair not in shown]
    colors, shapes = {color for color, _ in shown}, {shape for _, shape in shown}
    near = [(color, shape) for color, shape in pairs if color in colors and shape in shapes]
    return random.choice(near if near and random.random() < 0.5 else pairs)


def other_value(thing: Thing, attribute: str, scene: Scene, random: Random) -> str:
    """A possible value of `color`, `shape` or `size` that the thing does not have."""
    known = _known(scene)
    values = {
        "color": [color for color in COLORS if (color, thing.shape) in known],
        "shape": [shape for shape in SHAPES if (thing.color, shape) in known],
        "size": list(SIZES),
    }[attribute]
    return random.choice([value for value in values if value != getattr(thing, attribute)])


def _known(scene: Scene) -> tuple[tuple[str, str], ...]:
    return ALL if any(thing.held_out for thing in scene.things) else SEEN
