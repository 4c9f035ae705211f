"""The choice under a budget, and the file that keeps what it was made from."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from vlrouting.selection.adapeft.groups import Group

NAME = "adapeft"


@dataclass(frozen=True)
class Point:
    """A group on the curve of gain over parameters: a row of the file. The groups before it are chosen first."""

    group: str
    part: str
    depth: float | None
    parameters: int
    gain: float
    """Sum over the probes of (Gᵀg)² / (2 gᵀHg), where the parabola was accepted."""
    gain_per_parameter: float
    cumulative_parameters: int
    """Of this group and those before it."""
    cumulative_gain: float
    accepted: int
    """Probes whose parabola was accepted."""
    rejected: str
    """Why the others were not."""
    chosen: bool


def pareto_order(sizes: Sequence[int], gains: Sequence[float]) -> list[int]:
    """Numbers of the items by gain per parameter, the largest first; of equal ones in their order."""
    return sorted(range(len(sizes)), key=lambda number: -gains[number] / sizes[number])


def greedy(sizes: Sequence[int], gains: Sequence[float], budget: int) -> list[int]:
    """Numbers of the chosen items: the longest prefix of `pareto_order` that fits the budget and gains anything.

    Where the budget is the size of a prefix, no other choice of that size gains more (Dantzig, 1957). In between, the
    best choice may gain up to as much more as the first item that does not fit; the prefix is kept all the same, so
    that a larger budget never takes an item away.
    """
    chosen: list[int] = []
    for number in pareto_order(sizes, gains):
        budget -= sizes[number]
        if budget < 0 or not gains[number] > 0:
            break
        chosen.append(number)
    return chosen


def write_curve(folder: Path, points: Sequence[Point]) -> None:
    """`adapeft.json`, which `select.choice` reads, and `adapeft.csv` for plots."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [asdict(point) for point in points]
    (folder / f"{NAME}.json").write_text(json.dumps(rows, indent=1), encoding="utf-8")
    with (folder / f"{NAME}.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Point)])
        writer.writeheader()
        writer.writerows(rows)


def read_curve(path: Path) -> list[Point]:
    """
    Raises:
        ValueError: the file is missing or is no curve.
    """
    try:
        return [Point(**row) for row in json.loads(path.read_text(encoding="utf-8"))]
    except OSError as error:
        raise ValueError(
            f"select.choice: {path} cannot be read ({error.strerror}); train the run that it is of"
        ) from None
    except (ValueError, TypeError) as error:
        message = f"select.choice: {path} is no curve of adapeft ({error}); give selection/{NAME}.json of a run"
        raise ValueError(message) from None


def transferred(groups: Sequence[Group], points: Sequence[Point], path: Path) -> list[int]:
    """Numbers of the groups whose counterpart in the file is chosen.

    The counterpart of a group is the one of the same part: outside of the blocks there is one, inside it is the block
    whose relative depth is nearest, of two that are equally near the one closer to the input.

    Raises:
        ValueError: a group has no counterpart, or a chosen one outside of the blocks is that of no group.
    """
    chosen, seen = [], set()
    for number, group in enumerate(groups):
        same = [
            point for point in points if point.part == group.part and (point.depth is None) == (group.depth is None)
        ]
        if not same:
            parts = ", ".join(dict.fromkeys(point.part for point in points))
            raise ValueError(
                f"select.choice: {path} has no counterpart of the group '{group.name}'; its groups are {parts}: set "
                "select.groups, select.split and the names of the bottlenecks as there"
            )
        counterpart = min(same, key=lambda point: (abs((point.depth or 0) - (group.depth or 0)), point.depth or 0))
        seen.add(counterpart.part)
        if counterpart.chosen:
            chosen.append(number)
    missing = next((point.part for point in points if point.chosen and point.part not in seen), None)
    if missing is not None:
        raise ValueError(f"select.choice: {path} chose '{missing}', which is no group here; configure it as there")
    return chosen
