"""The selector: measures or reads the sensitivities, and chooses the trainable parameters of both towers."""

from __future__ import annotations

import json
import logging
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from vlrouting.bottleneck import Target
from vlrouting.bottleneck.fingerprint import weight_fingerprint
from vlrouting.config import BottleneckConfig, SptConfig
from vlrouting.config.bottleneck import TOWERS
from vlrouting.selection import Selection, SelectionProblem
from vlrouting.selection.spt.budget import Choice, choose
from vlrouting.selection.spt.groups import Group, Tower, class_tokens, groups_of
from vlrouting.selection.spt.sensitivity import measure, read, write

log = logging.getLogger(__name__)
SUMMARY = "spt.json"


def select_by_sensitivity(problem: SelectionProblem, config: SptConfig) -> Selection:
    """The bottlenecks for whole matrices, the single entries and the vectors of both towers that SPT chooses.

    Keeps the sensitivities and a summary of the choice in the folder of the problem.

    Raises:
        ValueError: a bottleneck fits no matrix, no weight changes the loss, or `select.sensitivities` does not fit.
    """
    towers = list(_towers(problem))
    groups = {tower.name: groups_of(tower) for tower in towers}
    sums = _sensitivities(problem, config, [group for of_tower in groups.values() for group in of_tower])
    choices = []
    for budget, sharing in _budgets(config, towers):
        among = [group for tower in sharing for group in groups[tower.name]]
        chosen = choose(
            among,
            [flat_values(group, sums) for group in among],
            budget=budget,
            step=config.step or max(1, budget // 20),
            alpha=config.alpha,
            beta=config.beta,
            always=sum(tower.model.get_parameter(name).numel() for tower in sharing for name in class_tokens(tower)),
        )
        choices.append(chosen)
    if problem.folder is not None:
        _write_summary(problem.folder, config, choices)
    return selection_of(problem.bottlenecks, choices, towers)


def _budgets(config: SptConfig, towers: Sequence[Tower]) -> list[tuple[int, Sequence[Tower]]]:
    """The parameters that may train in which towers together."""
    if config.vision_budget is None:
        return [(config.budget, towers)]
    budgets = {"language": config.budget - config.vision_budget, "vision": config.vision_budget}
    return [(budgets[tower.name], [tower]) for tower in towers]


def _towers(problem: SelectionProblem) -> Iterator[Tower]:
    """Those that bottlenecks are configured for."""
    model: Any = problem.model
    for name in TOWERS:
        own = {key: each for key, each in problem.bottlenecks.items() if each.tower == name and each.attaches}
        matrices = next(((key, each) for key, each in own.items() if not each.of_single_weights), None)
        entries = next(((key, each) for key, each in own.items() if each.of_single_weights), None)
        if own:
            backbone = model.language if name == "language" else model.vision.model
            yield Tower(name, backbone, matrices, entries, model.routed.visual_width)


def _sensitivities(problem: SelectionProblem, config: SptConfig, groups: Sequence[Group]) -> dict[str, Tensor]:
    """`tower.parameter` -> sum of squared gradients, as stored or measured here."""
    weights = {group.key: group.tower.model.get_parameter(group.parameter) for group in groups}
    models = {group.tower.name: group.tower.model for group in groups}
    measured_on = {name: weight_fingerprint(model) for name, model in models.items()}
    if config.sensitivities is not None:
        return read(Path(config.sensitivities), weights, measured_on)
    count = sum(weight.numel() for weight in weights.values())
    of_model = sum(parameter.numel() * parameter.element_size() for parameter in problem.model.parameters())
    log.info(
        "spt: the pass takes %.2f GiB for the sums of %d weights, beside %.2f GiB of the model and activations",
        config.memory(count) / 2**30,
        count,
        of_model / 2**30,
    )
    sums = measure(weights, problem.batches, problem.loss)
    if problem.folder is not None:
        write(problem.folder, sums, measured_on)
    return sums


def flat_values(group: Group, sums: Mapping[str, Tensor]) -> Tensor:
    """Of a group; a weight as (outputs, inputs)."""
    values = sums[group.key]
    owner = group.tower.model.get_submodule(group.module)
    if values.dim() == 2 and not isinstance(owner, nn.Linear):
        values = values.T
    return values.flatten()[group.span.start : group.span.stop]


def selection_of(
    bottlenecks: Mapping[str, BottleneckConfig], choices: Sequence[Choice], towers: Sequence[Tower]
) -> Selection:
    """What trains by the choices, which are of these towers, with these bottlenecks by name."""
    targets: dict[str, dict[str, Target]] = {name: {} for name in bottlenecks}
    for group in (group for choice in choices for group in choice.matrices):
        assert group.tower.matrices is not None and group.target is not None
        of = targets[group.tower.matrices[0]]
        before = of.get(group.target.name, replace(group.target, columns=()))
        of[group.target.name] = replace(before, columns=(*before.columns, *group.target.columns))
    vectors, slices = _vectors([group for choice in choices for group in choice.vectors])
    entries: dict[tuple[str, str], list[int]] = defaultdict(list)
    for group, positions in [*slices, *(pair for choice in choices for pair in choice.entries)]:
        assert group.tower.entries is not None and group.offset is not None
        start = group.offset + group.span.start
        entries[group.tower.entries[0], group.module] += [start + position for position in positions]
    for (name, module), found in entries.items():
        if found:
            targets[name][module] = Target(module, (module,), entries=tuple(sorted(found)))
    unfreeze = {tower.name: (*class_tokens(tower), *vectors[tower.name]) for tower in towers}
    places = {name: list(of.values()) for name, of in targets.items()}
    return Selection(places, unfreeze.get("language", ()), unfreeze.get("vision", ()))


def _vectors(groups: Sequence[Group]) -> tuple[dict[str, list[str]], list[tuple[Group, list[int]]]]:
    """Tower -> vectors that train as they are; and slices of others, all of whose entries train."""
    whole: dict[str, list[str]] = defaultdict(list)
    slices: list[tuple[Group, list[int]]] = []
    lengths: dict[str, int] = defaultdict(int)
    for group in groups:
        lengths[group.key] += len(group.span)
    for group in groups:
        if lengths[group.key] < group.tower.model.get_parameter(group.parameter).numel():
            slices.append((group, list(range(len(group.span)))))
        elif group.parameter not in whole[group.tower.name]:
            whole[group.tower.name].append(group.parameter)
    return whole, slices


def _write_summary(folder: Path, config: SptConfig, choices: Sequence[Choice]) -> None:
    """For the reader; the choice itself is in selection.json."""
    summary = {
        "budget": config.budget,
        "trainable": sum(choice.trainable for choice in choices),
        "most_sensitive_weights": sum(choice.chosen for choice in choices),
        "matrices": [str(group) for choice in choices for group in choice.matrices],
        "vectors": [str(group) for choice in choices for group in choice.vectors],
        "single_weights": sum(len(positions) for choice in choices for _, positions in choice.entries),
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / SUMMARY).write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
