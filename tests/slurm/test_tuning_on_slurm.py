"""A tuned experiment as two job arrays chooses and ends as it does on one machine."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.slurm.conftest import Cluster, wait_for
from vlrouting.experiment import RunDirectory
from vlrouting.experiment.attempts import Attempts
from vlrouting.launch.slurm.records import read_records

pytestmark = pytest.mark.slurm

SWEEP = {"tune": {"grid": {"train.lr": [1e30, 0.01]}, "max_steps": 6}, "seeds": [0, 1]}
SHAPE = ("--launcher", "slurm", "--cluster", "cluster.yaml", "--gpus", "1")


def test_two_arrays_choose_and_end_as_one_machine_does(cluster: Cluster, folder: Callable[..., Path]) -> None:
    place = folder(tuned=True, sweep=SWEEP)
    runs = place / "runs" / "tiny"
    assert "2 points queued, after the tuning" in cluster.vlrouting(place, "sweep", "tiny.yaml", *SHAPE)
    points = [RunDirectory(runs / name) for name in ("seed=0", "seed=1")]
    assert [run.read_config()["tuned.trial"] for run in points] == [None, None]
    wait_for(cluster, points)
    assert RunDirectory(runs / "tuning" / "lr=1e+30").has_diverged()
    assert len(Attempts(runs / "tuning" / "lr=1e+30" / "attempts.jsonl").read()) == 1
    assert [len(read_records(folder)) for folder in (runs, runs / "tuning")] == [1, 1]
    shown = cluster.vlrouting(place, "status", "tiny.yaml")
    assert "tuning: 1 of 2 trials complete" in shown and "waits" not in shown
    # The same on this machine.
    cluster.vlrouting(place, "sweep", "tiny.yaml", "--runs", "here")
    for name in ("tuning/lr=0.01", "seed=0", "seed=1"):
        run, here = RunDirectory(runs / name), RunDirectory(place / "here" / "tiny" / name)
        assert run.read_config() == here.read_config() and run.read_config()["train.lr"] == 0.01
        assert run.read_metrics() == here.read_metrics()
        assert run.predictions.read_text() == here.predictions.read_text()
        tensors = [(each.artifact / "adapter_model.safetensors").read_bytes() for each in (run, here)]
        assert tensors[0] == tensors[1]
        assert run.read_run()["swept"] == here.read_run()["swept"]
    # A longer grid: one more trial, and the points only where another value is better.
    longer = "sweep.tune.grid.train.lr=[1e30, 0.01, 1e-9]"
    before = {run.path.name: Attempts(run.attempts).read() for run in points}
    cluster.vlrouting(place, "sweep", "tiny.yaml", *SHAPE, longer)
    wait_for(cluster, [RunDirectory(runs / "tuning" / "lr=1e-09")])
    done = cluster.vlrouting(place, "sweep", "tiny.yaml", *SHAPE, longer)
    assert "2 points, 2 complete" in done
    assert {run.path.name: Attempts(run.attempts).read() for run in points} == before
    assert points[0].read_config()["tuned.trials"] == ["lr=1e+30", "lr=0.01", "lr=1e-09"]
