"""The run directories: whose they are, and whether what an earlier attempt left is whole."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from vlrouting.config.finding import FAULT, OK, WARNING, Finding
from vlrouting.doctor.subject import PlannedSweep
from vlrouting.experiment import Point, RunDirectory, UserError, to_yaml

PLACE = "run directory"


def run_directories(sweep: PlannedSweep) -> Iterator[Finding]:
    """No point's directory holds another run, a damaged one, or one that is going on."""
    intact: list[str] = []
    for point in sweep.points:
        run = sweep.directory(point)
        findings = [] if run is None else list(_of_point(point, run))
        yield from (replace(finding, points=(point.name,)) for finding in findings)
        intact += [] if findings else [point.name]
    if intact:
        complete = len(sweep.points) - len(sweep.open_points())
        yield Finding(OK, PLACE, f"{len(intact)} of {len(sweep.points)} intact, {complete} complete")


def _of_point(point: Point, run: RunDirectory) -> Iterator[Finding]:
    try:
        run.refuse_other_settings(to_yaml(point.config))
    except UserError as error:
        found, _, remedy = str(error).partition("Name another point")
        yield Finding(FAULT, PLACE, found.strip(), f"name another point{remedy}")
    try:
        run.read_run()
    except UserError as error:
        yield Finding(WARNING, PLACE, f"{error} The point counts as not complete", f"remove it: rm '{run.run_json}'")
    yield from _checkpoints(point, run)
    if (run.path / ".lock").exists():  # else nobody has ever run here, and nothing is to be left there
        try:
            with run.lock():
                pass
        except UserError as error:
            found, _, remedy = str(error).partition(". ")
            yield Finding(FAULT, PLACE, found, remedy)


def _checkpoints(point: Point, run: RunDirectory) -> Iterator[Finding]:
    """A run resumes from the last valid checkpoint; where all are damaged, it stops."""
    again = f"train this point again: rm -r '{run.last.parent}'"
    there = [checkpoint for checkpoint in (run.last, run.previous) if checkpoint.is_file()]
    damaged = [checkpoint for checkpoint in there if _damaged(checkpoint)]
    if there and damaged == there:
        yield Finding(FAULT, PLACE, f"{damaged[0]} is damaged, and there is no other to resume from", again)
    elif run.last in damaged:
        found = f"{run.last} is damaged: the run resumes from {run.previous.name}"
        yield Finding(WARNING, PLACE, found, f"let it, or {again}")
    if point.config.evaluate.checkpoint == "best" and not run.is_complete() and _damaged(run.best):
        found = f"{run.best} is damaged: unless a later validation is better, the test will fail"
        yield Finding(WARNING, PLACE, found, again)


def _damaged(checkpoint: Path) -> bool:
    """Whether a checkpoint is there whose parts are not what was written: torch's files are zip archives."""
    if not checkpoint.is_file():
        return False
    try:
        with zipfile.ZipFile(checkpoint) as archive:
            return archive.testzip() is not None
    except (zipfile.BadZipFile, OSError, EOFError):
        return True
