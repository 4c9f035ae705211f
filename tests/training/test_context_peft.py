"""A run with weights for each modality that is cut off and resumed ends as one that was not."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.training.test_resume import assert_same, stop_at, weights
from vlrouting.experiment import Experiment, RunDirectory
from vlrouting.launch.in_process import train
from vlrouting.training.interruption import Cancelled

BOTTLENECKS = {
    "lora": {"kind": "context_lora", "rank": 3, "dropout": 0.2, "bias": True, "contexts": {"text": {"routing": "mul"}}},
    "ia3": {"kind": "context_ia3"},
    "bitfit": {"kind": "context_bitfit", "targets": ["output", "up"]},
}


def test_stopped_and_resumed(
    experiment: Callable[..., Experiment],
    run: Callable[..., RunDirectory],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    point = experiment("train.gradient_checkpointing=true", bottleneck=None, bottlenecks=BOTTLENECKS)
    whole = run(point, "whole")
    kept = {name.rpartition(".")[2] for name in weights(whole) if "bottleneck" in name}
    assert {"bias", "scale", "weight"} <= kept and not any("channel_scales" in name for name in weights(whole))
    stop_at(monkeypatch, 5, signal.SIGTERM)
    with pytest.raises(Cancelled):
        train(point, point.points, tmp_path / "cut")
    assert_same(whole, run(point, "cut"))
