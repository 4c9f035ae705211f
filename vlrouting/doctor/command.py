"""What `vlrouting doctor` does."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vlrouting.config.finding import FAULT
from vlrouting.config.names import counted
from vlrouting.doctor.examine import examine
from vlrouting.doctor.show import show
from vlrouting.doctor.subject import LAUNCHERS, RunContext
from vlrouting.experiment import UserError, load


def look(
    name: str,
    overrides: Sequence[str],
    names: Sequence[str],
    runs: Path,
    launcher: str | None = None,
    gpu_memory: float | None = None,
    measure: bool = False,
) -> bool:
    """Examine an experiment and print what is found.

    Args:
        name: of the experiment, or its file.
        overrides: `key=value`.
        names: of the points; empty for all.
        runs: folder of the run directories.
        launcher: `local`, `slurm` or `process`; None for what this process runs in.
        gpu_memory: GiB of the GPUs that the points will run on, where they are not here.
        measure: run one training step here.

    Returns:
        Whether there is a fault.

    Raises:
        UserError: the experiment is not valid, or there is no such point or launcher.
    """
    if launcher is not None and launcher not in LAUNCHERS:
        raise UserError(f"there is no launcher '{launcher}'; there are: {', '.join(LAUNCHERS)}")
    experiment = load(name, overrides)  # files that are missing are findings here
    points = [experiment.point(point) for point in names] if names else list(experiment.points)
    variants = {point.variant for point in points}
    trials = [trial for trial in experiment.trials if trial.variant in variants]
    findings = examine(experiment.name, points, RunContext(runs, launcher, gpu_memory, measure=measure), trials)
    show(findings, f"{experiment.name}: {counted(len(points), 'point')}")
    return any(finding.level == FAULT for finding in findings)
