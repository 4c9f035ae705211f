"""Room on the disks, and leave to write there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from vlrouting.config import ExperimentConfig
from vlrouting.config.finding import FAULT, OK, WARNING, Finding
from vlrouting.doctor.features import bytes_to_compute, cache_folder
from vlrouting.doctor.folders import disk_of, free_bytes, spelled_bytes, write_problem
from vlrouting.doctor.sizes import Misfit, NotKnown, model_size
from vlrouting.doctor.subject import PlannedSweep, RunContext

PLACE = "disk"
OF_CHECKPOINT = 4 * 3
"""Bytes a trained parameter: weight and AdamW's two moments, float32."""
CHECKPOINTS = 3
"""last, the one before it, best."""
OF_ARTIFACT = 4
OTHERS = 4 * 2**20
"""Bytes of a point's curves, predictions and pictures."""
LEAST = 16 * 2**20
"""Bytes without which nothing is worth starting."""
SPARE = 2**30
"""Bytes that had better be left."""


def room(sweep: PlannedSweep) -> Iterator[Finding]:
    """The disks of runs and features take what the sweep writes."""
    wanted, unknown = _wanted(sweep)
    by_disk: dict[int, list[Path]] = {}
    for folder in wanted:
        if write_problem(folder) is not None:  # which is reported on its own
            continue
        by_disk.setdefault(disk_of(folder), []).append(folder)
    for folders in by_disk.values():
        need, free = sum(wanted[folder] for folder in folders), min(map(free_bytes, folders))
        names = " and ".join(map(str, folders))
        size = f"{'at least' if unknown else 'about'} {spelled_bytes(need)}"
        said = f"{size} will be written to {names}, where {spelled_bytes(free)} are free"
        remedy = "make room there, or name other folders: --runs, vision.cache_dir"
        if need > free or free < LEAST:
            yield Finding(FAULT, PLACE, said, remedy)
        elif free - need < SPARE:
            yield Finding(WARNING, PLACE, said, remedy)
        else:
            yield Finding(OK, PLACE, said)


def runs_folder(sweep: PlannedSweep) -> Iterator[Finding]:
    """The run directories can be written."""
    if sweep.context.runs is not None and (problem := write_problem(sweep.context.runs / sweep.name)):
        yield Finding(FAULT, PLACE, problem, "give another folder with --runs")


def node_room(config: ExperimentConfig, context: RunContext) -> Iterator[Finding]:
    """A node can write where the point does, and finds some room there; nothing is estimated."""
    folders = [context.runs, *map(cache_folder, config.per_dataset.values())]
    for folder in dict.fromkeys(folder for folder in folders if folder is not None):
        remedy = "mount it on every node, or name a folder that is on a shared disk"
        if problem := write_problem(folder):
            yield Finding(FAULT, PLACE, problem, remedy)
        elif (free := free_bytes(folder)) < LEAST:
            yield Finding(FAULT, PLACE, f"{spelled_bytes(free)} are free in {folder}", "make room there")
        else:
            yield Finding(OK, PLACE, f"{spelled_bytes(free)} are free in {folder}")


def _wanted(sweep: PlannedSweep) -> tuple[dict[Path, int], bool]:
    """Folder -> bytes that open points and trials write there, and whether more will come of what is not known yet."""
    wanted: dict[Path, int] = {}
    unknown = False
    caches: dict[str, tuple[Path, int]] = {}  # shared by the points with the same images and encoder
    for point in [*sweep.tuning.open_points(), *sweep.open_points()]:
        trained = _trained(point.config, sweep.context)
        unknown |= trained is None
        if sweep.context.runs is not None:
            of_point = (trained or 0) * (OF_CHECKPOINT * CHECKPOINTS + OF_ARTIFACT) + OTHERS
            wanted[sweep.context.runs] = wanted.get(sweep.context.runs, 0) + of_point
        for view in point.config.per_dataset.values():
            if (folder := cache_folder(view)) is not None:
                size = bytes_to_compute(view, sweep.context)
                unknown |= size is None
                caches[repr((view.data, view.vision))] = (folder, size or 0)
    for folder, size in caches.values():
        wanted[folder] = wanted.get(folder, 0) + size
    return wanted, unknown


def _trained(config: ExperimentConfig, context: RunContext) -> int | None:
    """Parameters that train; None where that is not known."""
    try:
        return model_size(config, context).trainable
    except (NotKnown, Misfit):
        return None
