"""A sweep as a job array over two nodes gives what the same sweep gives on one machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.slurm.conftest import Cluster, submit, wait_for
from tests.training.event_curves import curve
from vlrouting.experiment import RunDirectory

pytestmark = pytest.mark.slurm

GRID = {"sweep": {"grid": {"bottleneck.routing": ["none", "add"], "seed": [0, 1]}}}


@pytest.mark.parametrize("captions", [False, True], ids=["questions", "captions"])
def test_four_points_on_two_nodes(cluster: Cluster, folder: Callable[..., Path], captions: bool) -> None:
    place = folder(captions, **GRID)
    job = submit(cluster, place)
    names = [f"routing={routing},seed={seed}" for routing in ("none", "add") for seed in (0, 1)]
    runs = [RunDirectory(place / "runs" / "tiny" / name) for name in names]
    wait_for(cluster, runs)
    assert len(cluster.states(job)) == 4
    shown = cluster.vlrouting(place, "status", "tiny.yaml")
    assert shown.count("complete") >= 4
    assert "4 points, 4 complete" in cluster.vlrouting(
        place, "sweep", "tiny.yaml", "--launcher", "slurm", "--cluster", "cluster.yaml", "--nodes", "2"
    )
    # The same points on this machine: two processes each.
    cluster.vlrouting(place, "sweep", "tiny.yaml", "--gpus", "2", "--runs", "here")
    for name, run in zip(names, runs, strict=True):
        here = RunDirectory(place / "here" / "tiny" / name)
        assert run.read_metrics() == here.read_metrics(), name
        assert run.predictions.read_text() == here.predictions.read_text(), name
        assert curve(run, "train/loss") == curve(here, "train/loss"), name
        assert run.read_run()["device"] == here.read_run()["device"]
