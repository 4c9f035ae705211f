"""Scenes: validity and distribution; and their images."""

from __future__ import annotations

from collections import Counter
from random import Random

import numpy as np
import pytest

from vlrouting.shapes.draw import SIDE, draw
from vlrouting.shapes.scene import ALL, COLORS, HELD_OUT, RELATIONS, SHAPES, SIZES, Scene, Thing, random_scene


def test_a_sixth_of_the_combinations_is_held_out_and_each_part_occurs_elsewhere() -> None:
    assert len(ALL) == 30 and len(HELD_OUT) == 5 and set(ALL) >= HELD_OUT
    seen = set(ALL) - HELD_OUT
    assert {color for color, _ in seen} == set(COLORS) and {shape for _, shape in seen} == set(SHAPES)


@pytest.mark.parametrize("held_out", [False, True, None])
def test_random_scenes_are_valid(held_out: bool | None) -> None:
    random = Random(1)
    scenes = [random_scene(random, held_out) for _ in range(500)]
    shown = [any(thing.held_out for thing in scene.things) for scene in scenes]
    assert set(shown) == {False: {False}, True: {True}, None: {True, False}}[held_out]
    assert {len(scene.things) for scene in scenes} == {1, 2, 3, 4}
    for thing in (thing for scene in scenes for thing in scene.things):
        assert thing.size in SIZES and 0 <= thing.row < 3 and 0 <= thing.column < 3


def test_colors_shapes_and_cells_are_uniform() -> None:
    random = Random(2)
    things = [thing for _ in range(4000) for thing in random_scene(random, False).things]
    for count, values in (
        (Counter(thing.color for thing in things), 6),
        (Counter(thing.shape for thing in things), 5),
        (Counter((thing.row, thing.column) for thing in things), 9),
    ):
        assert len(count) == values
        # Within five standard deviations of the uniform distribution.
        share = len(things) / values
        assert all(abs(number - share) < 5 * share**0.5 for number in count.values()), count


def test_equal_seeds_give_equal_scenes() -> None:
    first, again, other = (random_scene(Random(seed), None) for seed in ("a", "a", "b"))
    assert first == again != other


def test_invalid_scenes_are_rejected() -> None:
    thing = Thing("red", "circle", "small", 0, 0, 0.0, 0.0)
    later = Thing("red", "circle", "small", 0, 1, 0.0, 0.0)
    assert Scene((thing, later)).things == (thing, later)
    for things in (
        (),
        (thing, thing),
        (later, thing),
        tuple(Thing("red", "star", "small", *divmod(n, 3), 0, 0) for n in range(5)),
    ):
        with pytest.raises(ValueError, match="1 to 4 things in reading order"):
            Scene(things)


def test_relations_are_strict() -> None:
    first, second = Thing("red", "circle", "small", 0, 0, 3.0, 0.0), Thing("red", "star", "small", 2, 0, -3.0, 0.0)
    assert [name for name, holds in RELATIONS.items() if holds(first, second)] == ["above"]
    assert [name for name, holds in RELATIONS.items() if holds(second, first)] == ["below"]


def test_an_image_shows_its_scene() -> None:
    random = Random(3)
    for scene in (random_scene(random, None) for _ in range(50)):
        pixels = np.asarray(draw(scene)).astype(int)
        assert pixels.shape == (SIDE, SIDE, 3)
        for row in range(3):
            for column in range(3):
                cell = pixels[21 * row : 21 * row + 22, 21 * column : 21 * column + 22].reshape(-1, 3)
                thing = next((t for t in scene.things if (t.row, t.column) == (row, column)), None)
                colors = {name: int((cell == rgb).all(axis=1).sum()) for name, rgb in COLORS.items()}
                shown = max(colors, key=lambda name: colors[name])
                assert (colors[shown] > 5) == (thing is not None)
                if thing is not None:
                    assert shown == thing.color
        assert (pixels[0, 0] == scene.background).all()


def test_all_looks_are_different_and_large_is_larger() -> None:
    def covered(shape: str, size: str, dx: float = 0.0) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        picture = draw(Scene((Thing("red", shape, size, 1, 1, dx, 0.0),), 240))
        return np.asarray((np.asarray(picture) != 240).any(axis=2))

    masks = {(shape, size): covered(shape, size) for shape in SHAPES for size in SIZES}
    assert len({mask.tobytes() for mask in masks.values()}) == 10
    for shape in SHAPES:
        assert masks[shape, "large"].sum() > 2 * masks[shape, "small"].sum()
        # A shift of two pixels moves the drawing by two pixels.
        assert (covered(shape, "small", 2.0)[:, 2:] == masks[shape, "small"][:, :-2]).all()


def test_edges_are_smooth() -> None:
    values = np.unique(np.asarray(draw(Scene((Thing("blue", "circle", "large", 1, 1, 0.25, 0.0),), 240)))[..., 0])
    assert len(values) > 10
