"""`select.method: adapeft`: the budget goes to the groups that gain most per parameter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from vlrouting.config.selectors.adapeft import AdapeftConfig
from vlrouting.selection import Selection, SelectionProblem
from vlrouting.selection.adapeft.curve import Point, greedy, pareto_order, read_curve, transferred, write_curve
from vlrouting.selection.adapeft.groups import LANGUAGE, VISION, Group, find_groups
from vlrouting.selection.adapeft.measure import measure
from vlrouting.selection.adapeft.parabola import Parabola


def adapeft(problem: SelectionProblem, config: AdapeftConfig) -> Selection:
    """The groups that lower the loss most per parameter, within the budget; or those that another run chose.

    Our reading of arXiv 2505.12579, of which no code is public: gains from parabolas along a direction of each group,
    added up over a short run that trains all groups, then the greedy solution of the knapsack problem. The curve is
    written to the problem's folder.

    Raises:
        ValueError: nothing can be chosen; the text says why.
    """
    with problem.attached() as towers:
        groups = find_groups(towers, config.split, config.groups)
        if config.choice is not None:
            path = Path(config.choice)
            return _selection(problem, [groups[number] for number in transferred(groups, read_curve(path), path)])
        measured = measure(problem, groups, config)
    sizes = [group.size for group in groups]
    gains = [sum(parabola.gain for parabola in each) for each in measured]
    chosen = greedy(sizes, gains, config.budget or 0)
    if problem.folder is not None:
        write_curve(problem.folder, _curve(groups, measured, chosen))
    if not chosen:
        raise ValueError(_nothing(groups, gains, measured, config))
    return _selection(problem, [groups[number] for number in chosen])


def _selection(problem: SelectionProblem, chosen: Sequence[Group]) -> Selection:
    places = {
        name: [t for group in chosen if group.bottleneck == name for t in group.targets] for name in problem.bottlenecks
    }
    unfreeze = {
        tower: [name for group in chosen if group.tower == tower for name in group.unfreeze]
        for tower in (LANGUAGE, VISION)
    }
    return Selection(places, unfreeze[LANGUAGE], unfreeze[VISION])


def _curve(groups: Sequence[Group], measured: Sequence[Sequence[Parabola]], chosen: Sequence[int]) -> list[Point]:
    points: list[Point] = []
    gains = [sum(parabola.gain for parabola in each) for each in measured]
    parameters, gain = 0, 0.0
    for number in pareto_order([group.size for group in groups], gains):
        group, parabolas = groups[number], measured[number]
        parameters, gain = parameters + group.size, gain + gains[number]
        points.append(
            Point(
                group=group.name,
                part=group.part,
                depth=group.depth,
                parameters=group.size,
                gain=gains[number],
                gain_per_parameter=gains[number] / group.size,
                cumulative_parameters=parameters,
                cumulative_gain=gain,
                accepted=sum(not parabola.reason for parabola in parabolas),
                rejected=_reasons(parabolas),
                chosen=number in chosen,
            )
        )
    return points


def _reasons(parabolas: Sequence[Parabola]) -> str:
    """`no parabola 2, no slope 1`."""
    counted = Counter(parabola.reason for parabola in parabolas if parabola.reason)
    return ", ".join(f"{reason} {count}" for reason, count in counted.items())


def _nothing(
    groups: Sequence[Group], gains: Sequence[float], measured: Sequence[Sequence[Parabola]], config: AdapeftConfig
) -> str:
    first = pareto_order([group.size for group in groups], gains)[0]
    if gains[first] > 0:
        return (
            f"select.budget: {config.budget:,} is less than the {groups[first].size:,} parameters of "
            f"'{groups[first].name}', which comes first; give at least as many, or smaller groups "
            "(select.split: target)"
        )
    reasons = _reasons([parabola for each in measured for parabola in each])
    return f"select.method: adapeft: no probe of any group promises a gain ({reasons}); try another select.step_size"
