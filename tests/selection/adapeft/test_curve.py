"""AdaPEFT's choice under a budget against trying everything, and the choice of one model for another."""

from __future__ import annotations

import csv
import itertools
import json
import random
from pathlib import Path

import pytest

from tests.tiny_models import tiny
from vlrouting.bottleneck import BottleneckConfig, attach
from vlrouting.selection.adapeft.curve import Point, greedy, pareto_order, read_curve, transferred, write_curve
from vlrouting.selection.adapeft.groups import Group, find_groups


def best(sizes: list[int], gains: list[float], budget: int) -> float:
    """By trying every subset."""
    numbers = range(len(sizes))
    subsets = (s for n in range(len(sizes) + 1) for s in itertools.combinations(numbers, n))
    return max(sum(gains[i] for i in s) for s in subsets if sum(sizes[i] for i in s) <= budget)


@pytest.mark.parametrize("seed", range(30))
def test_greedy_against_every_subset(seed: int) -> None:
    draw = random.Random(seed)
    sizes = [draw.randint(1, 12) for _ in range(7)]
    gains = [draw.choice([0.0, draw.random()]) for _ in range(7)]
    order, before = pareto_order(sizes, gains), []
    cumulative = list(itertools.accumulate(sizes[number] for number in order))
    for budget in range(1, sum(sizes) + 2):
        chosen = greedy(sizes, gains, budget)
        gain, optimum = sum(gains[number] for number in chosen), best(sizes, gains, budget)
        assert sum(sizes[number] for number in chosen) <= budget and all(gains[number] > 0 for number in chosen)
        assert chosen == order[: len(chosen)] and chosen[: len(before)] == before  # a larger budget takes nothing away
        if budget in cumulative:
            assert gain == pytest.approx(optimum)
        left_out = gains[order[len(chosen)]] if len(chosen) < len(order) else 0
        assert optimum <= gain + left_out + 1e-12
        before = chosen


def test_where_greedy_is_not_the_best() -> None:
    sizes, gains = [1, 10], [2.0, 10.0]
    assert greedy(sizes, gains, 10) == [0] and best(sizes, gains, 10) == 10
    assert greedy(sizes, gains, 11) == [0, 1]


def groups_of(family: str, layers: int, split: str = "block", entries: tuple[str, ...] = ()) -> list[Group]:
    routed = attach(tiny(family), {"text": BottleneckConfig("lora", rank=2)}, unfreeze=())
    found = find_groups({"language": routed}, split, entries)
    if layers == 2:
        return found
    blocks = {g.part: g for g in found if g.depth is not None}
    rest = [g for g in found if g.depth is None]
    deeper = [(part, (n + 0.5) / layers) for part in blocks for n in range(layers)]
    return [Group(f"{part}:{depth}", part, depth, blocks[part].parameters) for part, depth in deeper] + rest


def written(groups: list[Group], chosen: list[int], path: Path) -> Path:
    points = [Point(g.name, g.part, g.depth, g.size, 1, 1, 1, 1, 1, "", n in chosen) for n, g in enumerate(groups)]
    write_curve(path, points)
    return path / "adapeft.json"


def names(groups: list[Group]) -> list[str]:
    return [group.name for group in groups]


def test_groups_by_block_by_target_and_whole() -> None:
    assert names(groups_of("bart", 2)) == [
        f"text@model.{stack}.layers.{n}" for stack in ("encoder", "decoder") for n in (0, 1)
    ]
    found = groups_of("roberta", 2, "target", ("layer_norms", "biases", "*.position_embeddings.*"))
    assert names(found)[:2] == [f"text@encoder.layer.0.attention.self.{role}" for role in ("query", "value")]
    assert names(found)[4:] == ["layer_norms", "biases", "*.position_embeddings.*"]
    parts = [id(parameter) for group in found for parameter in group.parameters]
    assert len(parts) == len(set(parts))  # the bias of a norm is in the first group that names it
    assert not any(".LayerNorm." in name and ".layer." in name for name in found[5].unfreeze)
    (whole,) = groups_of("roberta", 2, "bottleneck")
    assert whole.name == "text" and whole.size == sum(g.size for g in found[:4]) and len(whole.targets) == 4


def test_what_has_no_group_is_told() -> None:
    with pytest.raises(ValueError, match=r"'biases'.*trains already.*model\.unfreeze: \[\]"):
        groups_of("roberta", 2, entries=("all", "biases"))
    with pytest.raises(ValueError, match=r"^select\.groups: '\*\.nothing' matches no parameter"):
        groups_of("roberta", 2, entries=("*.nothing",))
    routed = attach(tiny("roberta"), BottleneckConfig("none"), unfreeze=())
    with pytest.raises(ValueError, match="no group"):
        find_groups({"language": routed}, "block", ())


def test_a_choice_goes_to_the_blocks_of_the_same_relative_depth(tmp_path: Path) -> None:
    small = groups_of("roberta", 4, entries=("biases",))
    file = written(small, [1, 4], tmp_path)  # the second block of four, and the biases
    large = groups_of("roberta", 12, entries=("biases",))
    assert transferred(large, read_curve(file), file) == [3, 4, 5, 12]
    assert transferred(small, read_curve(file), file) == [1, 4]
    fewer = groups_of("roberta", 2, entries=("biases",))
    assert transferred(fewer, read_curve(file), file) == [2]  # ¼ is as near to 1/8 as to 3/8: the one nearer the input


def test_a_choice_goes_to_the_same_stack_of_another_family(tmp_path: Path) -> None:
    file = written(groups_of("bart", 2), [2], tmp_path)
    t5 = groups_of("t5", 2)
    assert [t5[n].name for n in transferred(t5, read_curve(file), file)] == ["text@decoder.block.0"]


def test_what_has_no_counterpart_is_told(tmp_path: Path) -> None:
    file = written(groups_of("roberta", 2, entries=("biases",)), [2], tmp_path)
    points = read_curve(file)
    with pytest.raises(ValueError, match="no counterpart of the group 'layer_norms'; its groups are text@encoder, bia"):
        transferred(groups_of("roberta", 2, entries=("layer_norms", "biases")), points, file)
    with pytest.raises(ValueError, match="chose 'biases', which is no group here"):
        transferred(groups_of("roberta", 2), points, file)


@pytest.mark.parametrize("content", [None, "", "[{}]", "7", '{"places": {}}'])
def test_a_file_that_is_no_curve_is_told(content: str | None, tmp_path: Path) -> None:
    file = tmp_path / "selection.json"
    if content is not None:
        file.write_text(content)
    with pytest.raises(ValueError, match=r"select\.choice: .*selection\.json (cannot be read|is no curve)"):
        read_curve(file)


def test_the_curve_is_a_table_too(tmp_path: Path) -> None:
    file = written(groups_of("roberta", 2), [0], tmp_path)
    with (tmp_path / "adapeft.csv").open() as table:
        rows = list(csv.DictReader(table))
    assert [row["group"] for row in rows] == [row["group"] for row in json.loads(file.read_text())]
    assert [row["chosen"] for row in rows] == ["True", "False"]
