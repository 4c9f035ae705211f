from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tiny_experiment import write_experiment
from vlrouting.experiment import Experiment, RunDirectory, load
from vlrouting.launch.in_process import train


@pytest.fixture
def experiment(tmp_path: Path) -> Callable[..., Experiment]:
    """Writes an experiment in miniature and loads it."""

    def make(*overrides: str, **sections: object) -> Experiment:
        return load(str(write_experiment(tmp_path, **sections)), list(overrides))

    return make


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., RunDirectory]:
    """Trains an experiment's only point."""

    def make(experiment: Experiment, runs: str = "runs") -> RunDirectory:
        assert train(experiment, experiment.points, tmp_path / runs) == {}
        return RunDirectory(tmp_path / runs / experiment.name / experiment.points[0].name)

    return make
