"""The selector: measures or reads the sensitivities, chooses, and says what trains where."""

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
CHOICE = "choice.json"


def select_by_sensitivity(problem: SelectionProblem, config: SptConfig) -> Selection:
    """The bottlenecks for whole matrices, the single entries and the vectors of both towers that SPT chooses.

    Keeps the sensitivities and a summary of the choice in the folder of the problem.

    Raises:
        ValueError: a bottleneck fits no matrix, no weight changes the loss, or `select.sensitivities` does not fit.
    """
    towers = list(_towers(problem))
    groups = [group for tower in towers for group in groups_of(tower)]
    sums = _sensitivities(problem, config, groups)
    tokens = {tower.name: class_tokens(tower) for tower in towers}
    always = sum(tower.model.get_parameter(name).numel() for tower in towers for name in tokens[tower.name])
    step = config.step or max(1, config.budget // 20)
    chosen = choose(
        groups,
        [_flat(group, sums) for group in groups],
        budget=config.budget,
        step=step,
        alpha=config.alpha,
        beta=config.beta,
        always=always,
    )
    log.info("spt: %d parameters train, for a budget of %d", chosen.trainable, config.budget)
    if problem.folder is not None:
        _write_choice(problem.folder, chosen, config)
    return _selection(problem.bottlenecks, chosen, tokens)


def _towers(problem: SelectionProblem) -> Iterator[Tower]:
    """Those that bottlenecks are configured for."""
    model: Any = problem.model
    for name in TOWERS:
        own = {key: each for key, each in problem.bottlenecks.items() if each.tower == name and each.attaches}
        matrices = next(((key, each) for key, each in own.items() if each.kind != "sparse"), None)
        entries = next(((key, each) for key, each in own.items() if each.kind == "sparse"), None)
        if own:
            backbone = model.language if name == "language" else model.vision.model
            yield Tower(name, backbone, matrices, entries, model.routed.visual_width)


def _sensitivities(problem: SelectionProblem, config: SptConfig, groups: Sequence[Group]) -> dict[str, Tensor]:
    """`tower.parameter` -> sum of squared gradients, as stored or measured here."""
    weights = {_key(group): group.tower.model.get_parameter(group.parameter) for group in groups}
    measured_on = {group.tower.name: weight_fingerprint(group.tower.model) for group in groups}
    if config.sensitivities is not None:
        return read(Path(config.sensitivities), weights, measured_on)
    count = sum(weight.numel() for weight in weights.values())
    model = sum(parameter.numel() * parameter.element_size() for parameter in problem.model.parameters())
    log.info(
        "spt: the pass takes %.2f GiB for the sums of %d weights, beside %.2f GiB of the model and activations",
        config.memory(count) / 2**30,
        count,
        model / 2**30,
    )
    sums = measure(weights, problem.batches, problem.loss)
    if problem.folder is not None:
        write(problem.folder, sums, measured_on)
    return sums


def _key(group: Group) -> str:
    return f"{group.tower.name}.{group.parameter}"


def _flat(group: Group, sums: Mapping[str, Tensor]) -> Tensor:
    """Of a group; a weight as (outputs, inputs)."""
    values = sums[_key(group)]
    owner = group.tower.model.get_submodule(group.parameter.rpartition(".")[0])
    if values.dim() == 2 and not isinstance(owner, nn.Linear):
        values = values.T
    return values.flatten()[group.span.start : group.span.stop]


def _selection(
    bottlenecks: Mapping[str, BottleneckConfig], chosen: Choice, tokens: Mapping[str, Sequence[str]]
) -> Selection:
    targets: dict[str, dict[str, Target]] = {name: {} for name in bottlenecks}
    for group in chosen.matrices:
        assert group.tower.matrices is not None and group.target is not None
        of = targets[group.tower.matrices[0]]
        before = of.get(group.target.name, replace(group.target, columns=()))
        of[group.target.name] = replace(before, columns=(*before.columns, *group.target.columns))
    vectors, slices = _vectors(chosen.vectors)
    entries: dict[tuple[str, str], list[int]] = defaultdict(list)
    for group, positions in [*chosen.entries, *slices]:
        assert group.tower.entries is not None and group.offset is not None
        module = group.parameter.rpartition(".")[0]
        start = group.offset + group.span.start
        entries[group.tower.entries[0], module] += [start + position for position in positions]
    for (name, module), found in entries.items():
        if found:
            targets[name][module] = Target(module, (module,), entries=tuple(sorted(found)))
    unfreeze = {tower: [*tokens.get(tower, ()), *vectors[tower]] for tower in TOWERS}
    places = {name: list(of.values()) for name, of in targets.items()}
    return Selection(places, tuple(unfreeze["language"]), tuple(unfreeze["vision"]))


def _vectors(groups: Sequence[Group]) -> tuple[dict[str, list[str]], list[tuple[Group, list[int]]]]:
    """Tower -> vectors that train as they are; and slices of others, all of whose entries train."""
    whole: dict[str, list[str]] = defaultdict(list)
    slices: list[tuple[Group, list[int]]] = []
    lengths: dict[str, int] = defaultdict(int)
    for group in groups:
        lengths[_key(group)] += len(group.span)
    for group in groups:
        if lengths[_key(group)] < group.tower.model.get_parameter(group.parameter).numel():
            slices.append((group, list(range(len(group.span)))))
        elif group.parameter not in whole[group.tower.name]:
            whole[group.tower.name].append(group.parameter)
    return whole, slices


def _write_choice(folder: Path, chosen: Choice, config: SptConfig) -> None:
    """A summary for the reader; the choice itself is in selection.json."""
    summary = {
        "budget": config.budget,
        "trainable": chosen.trainable,
        "most_sensitive_weights": chosen.chosen,
        "matrices": [f"{_key(group)}[{group.span.start}:{group.span.stop}]" for group in chosen.matrices],
        "vectors": [f"{_key(group)}[{group.span.start}:{group.span.stop}]" for group in chosen.vectors],
        "single_weights": sum(len(positions) for _, positions in chosen.entries),
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / CHOICE).write_text(json.dumps(summary, indent=2) + "\n", encoding="utf-8")
