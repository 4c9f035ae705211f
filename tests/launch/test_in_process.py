"""Points one after the other in one process."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from typing import Any

import pytest

from tests.tiny_experiment import write_experiment
from vlrouting.experiment import load
from vlrouting.launch.in_process import train
from vlrouting.training.point import PointRun


def test_a_point_leaves_no_model_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    models: list[weakref.ref[Any]] = []
    alive: list[int] = []
    original = PointRun._trainer

    def noted(self: PointRun, built: Any, resume: Any) -> Any:
        alive.append(sum(model() is not None for model in models))
        models.append(weakref.ref(built.task))
        return original(self, built, resume)

    monkeypatch.setattr(PointRun, "_trainer", noted)
    experiment = load(str(write_experiment(tmp_path, train={"max_steps": 1}, sweep={"grid": {"seed": [0, 1]}})))
    gc.disable()
    try:
        assert train(experiment, experiment.points, tmp_path / "runs") == {}
    finally:
        gc.enable()
    assert alive == [0, 0]
