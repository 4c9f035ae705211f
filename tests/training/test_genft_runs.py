"""GenFT in whole runs: cut off and resumed, in several processes, sharded, and recomputed."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_experiment import write_caption_experiment, write_experiment
from tests.training.event_curves import curve
from tests.training.test_resume import assert_same, stop_at
from vlrouting.experiment import Experiment, RunDirectory, load
from vlrouting.launch.in_process import train
from vlrouting.launch.local import run_locally
from vlrouting.training.interruption import Cancelled

GENFT: dict[str, Any] = {"kind": "genft", "rank": 6, "layer_rank": 2, "final_activation": "identity", "dropout": 0.0}
POINTS = {
    "one": {},
    "recomputed": {"train.devices": 2, "train.accumulate": 2, "train.gradient_checkpointing": True},
    "sharded": {"train.devices": 2, "train.strategy": "fsdp"},
}


def test_cut_off_and_resumed(
    experiment: Callable[..., Experiment],
    run: Callable[..., RunDirectory],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    point = experiment(bottleneck={**GENFT, "matrix_dropout": 0.2}, data={"validation": None}, train={"max_steps": 6})
    whole = run(point, "whole")
    stop_at(monkeypatch, 4, signal.SIGTERM)
    with pytest.raises(Cancelled):
        train(point, point.points, tmp_path / "cut")
    assert_same(whole, run(point, "cut"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("write", "keys"),
    [
        (write_caption_experiment, {}),
        (write_experiment, {"routing": "none", "final_activation": "gelu", "orientation": "peft"}),
    ],
)
def test_two_processes_with_recomputation_or_shards_equal_one(
    write: Callable[..., Path], keys: dict[str, Any], tmp_path: Path
) -> None:
    settings = {"max_steps": 4, "validate_every_steps": 4}
    file = write(tmp_path, images=12, bottleneck={**GENFT, **keys}, train=settings, sweep={"points": POINTS})
    experiment = load(str(file))
    assert run_locally(experiment, experiment.points, tmp_path / "runs") == {}
    runs = {name: RunDirectory(tmp_path / "runs" / experiment.name / name) for name in POINTS}
    whole = runs.pop("one")
    for name, run in runs.items():
        losses, expected = (dict(curve(each, "train/loss")) for each in (run, whole))
        assert losses == pytest.approx(expected, abs=1e-5), name
        assert run.predictions.read_text() == whole.predictions.read_text(), name
