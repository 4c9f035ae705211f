from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.launch.slurm.fake_scheduler import FakeScheduler
from vlrouting.experiment import Experiment, RunDirectory, load, to_yaml

EXPERIMENT = """\
train: {max_steps: 7, batch_size: 8, accelerator: cpu}
sweep: {grid: {bottleneck.routing: [none, mul]}}
"""


@pytest.fixture
def experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Experiment:
    """Two points, in an empty current directory; they are never trained here."""
    monkeypatch.chdir(tmp_path)
    Path("experiments").mkdir()
    Path("experiments/x.yaml").write_text(EXPERIMENT)
    return load("x")


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeScheduler:
    """An empty PATH until the test puts programs there."""
    scheduler = FakeScheduler(tmp_path / "bin")
    monkeypatch.setenv("PATH", str(scheduler.folder))
    return scheduler


def complete(experiment: Experiment, name: str) -> RunDirectory:
    """Make a point's directory look complete."""
    run = RunDirectory(Path("runs") / experiment.name / name)
    run.artifact.mkdir(parents=True)
    run.config.write_text(to_yaml(experiment.point(name).config))
    run.metrics.write_text(json.dumps({"test/accuracy": 61.25}))
    run.update_run(status="complete", main_metric="test/accuracy", shown_metrics={"test/accuracy": "accuracy"})
    for file in ("adapter_config.json", "adapter_model.safetensors"):
        (run.artifact / file).touch()
    return run
