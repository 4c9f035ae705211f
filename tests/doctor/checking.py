"""Examining an experiment in miniature, and what a test asks of the findings."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from vlrouting.doctor import OK, Finding, RunContext, examine
from vlrouting.experiment import Experiment, load


def experiment_in(folder: Path, *overrides: str) -> Experiment:
    """The experiment that was written there."""
    return load(str(folder / "tiny.yaml"), list(overrides))


def findings_of(
    folder: Path,
    *overrides: str,
    launcher: str | None = None,
    gpu_memory: float | None = None,
    environment: Mapping[str, str] | None = None,
    runs: Path | None = None,
    measure: bool = False,
) -> list[Finding]:
    """What is found in the experiment there; in an empty environment, unless one is given."""
    experiment = experiment_in(folder, *overrides)
    context = RunContext(runs or folder / "runs", launcher, gpu_memory, environment or {}, measure=measure)
    return examine(experiment.name, experiment.points, context, experiment.trials)


def problems(findings: list[Finding]) -> list[Finding]:
    """Faults and warnings. Each says what to do, and no check may have failed."""
    found = [finding for finding in findings if finding.level != OK]
    assert all(finding.remedy for finding in found), found
    assert not [finding for finding in found if finding.looked_at == "doctor"], found
    return found


def only_problem(findings: list[Finding], level: str, looked_at: str, *words: str) -> Finding:
    """The only fault or warning, which must be of this kind and have these words in finding or remedy."""
    found = problems(findings)
    assert len(found) == 1, found
    (finding,) = found
    assert (finding.level, finding.looked_at) == (level, looked_at), finding
    for word in words:
        assert word in finding.found or word in finding.remedy, (word, finding)
    return finding
