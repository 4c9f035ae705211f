"""All checks, in the order in which they are made, and what comes of them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from vlrouting.config import ExperimentConfig
from vlrouting.config.finding import FAULT, WARNING, Finding
from vlrouting.doctor import batches, data, devices, directories, disk, features, measure, memory, network, slurm
from vlrouting.doctor import scores as scores_
from vlrouting.doctor import weights as weights_
from vlrouting.doctor.subject import PlannedSweep, PointCheck, RunContext, SweepCheck, for_each_dataset, for_each_point
from vlrouting.experiment import Point, UserError, import_plugins

CHECKS: tuple[SweepCheck, ...] = (
    for_each_point(for_each_dataset(data.files)),
    for_each_point(for_each_dataset(data.recipe)),
    for_each_point(for_each_dataset(data.content)),
    for_each_point(for_each_dataset(data.images)),
    for_each_point(batches.steps),
    for_each_point(for_each_dataset(batches.vocabulary)),
    for_each_point(weights_.weights),
    for_each_point(for_each_dataset(features.features)),
    for_each_point(for_each_dataset(scores_.programs)),
    for_each_point(batches.lengths),
    memory.fits,
    measure.measured_step,
    disk.runs_folder,
    disk.room,
    directories.run_directories,
    slurm.scheduler,
    for_each_point(slurm.allocation),
    for_each_point(devices.devices),
    for_each_point(network.host_name),
    for_each_point(network.meeting_place),
)
NODE_CHECKS: tuple[PointCheck, ...] = (
    for_each_dataset(data.files),
    disk.node_room,
    slurm.allocation,
    devices.devices,
    network.host_name,
    network.meeting_place,
)
"""What each node checks as it starts: quick, and nothing that is the same on every node."""


def examine(name: str, points: Sequence[Point], context: RunContext, trials: Sequence[Point] = ()) -> list[Finding]:
    """Everything that is found, in the order of the checks.

    A finding that holds for several points comes once, with their names; with none, where it holds for all.

    Args:
        name: of the experiment.
        points: that are going to run.
        context: where and how.
        trials: of the tuning, which run before.
    """
    ready, findings = _with_plugins(points)
    sweep = PlannedSweep(name, tuple(ready), context, tuple(trials))
    for check in CHECKS if ready else ():
        findings += _run_check(check, sweep)
    return _merged(findings, {point.name for point in points})


def node_findings(
    config: ExperimentConfig, run_directory: Path | None = None, environment: Mapping[str, str] | None = None
) -> list[Finding]:
    """What a node finds as a point starts on it: data, disk, SLURM's variables, devices, host names, port.

    Takes under a second, asks no hub and builds no model.

    Args:
        config: of the point.
        run_directory: where it writes.
        environment: variables. Default: this process's.
    """
    variables = os.environ if environment is None else environment
    context = RunContext(runs=run_directory, environment=variables, starting=True)
    return [finding for check in NODE_CHECKS for finding in check(config, context)]


def _with_plugins(points: Sequence[Point]) -> tuple[list[Point], list[Finding]]:
    """The points whose plugins could be imported, and a fault for each of the others."""
    ready: list[Point] = []
    findings: list[Finding] = []
    for point in points:
        try:
            import_plugins(point.config.plugins)
            ready.append(point)
        except UserError as error:
            remedy = "correct the module, or take it out of `plugins`"
            findings.append(Finding(FAULT, "plugins", str(error), remedy, (point.name,)))
    return ready, findings


def _run_check(check: SweepCheck, sweep: PlannedSweep) -> Iterator[Finding]:
    """What a check finds; a warning where it failed: the others may still find what matters."""
    try:
        yield from check(sweep)
    except Exception as error:
        name = getattr(check, "__name__", "check")
        found = f"the check '{name}' failed ({type(error).__name__}: {error})"
        yield Finding(WARNING, "doctor", found, "report this; nothing is known of what it would have checked")


def _merged(findings: Sequence[Finding], points: set[str]) -> list[Finding]:
    names: dict[Finding, dict[str, None]] = {}
    for finding in findings:
        names.setdefault(replace(finding, points=()), {}).update(dict.fromkeys(finding.points))
    return [replace(finding, points=() if held.keys() == points else tuple(held)) for finding, held in names.items()]
