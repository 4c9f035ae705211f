"""Two processes, or two pieces, give what one gives; several points run at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.launch.event_curves import curve
from tests.tiny_experiment import write_caption_experiment, write_experiment
from vlrouting.experiment import Experiment, RunDirectory, load
from vlrouting.launch.local import run_locally

pytestmark = pytest.mark.slow

WAYS = {"one": [], "two": ["train.devices=2"], "pieces": ["train.accumulate=2"]}


def run_each_way(file: Path, runs: Path) -> dict[str, RunDirectory]:
    """The same experiment by one process, by two, and by one in two pieces."""
    found = {}
    for name, overrides in WAYS.items():
        experiment = load(str(file), overrides)
        assert run_locally(experiment, experiment.points, runs / name) == {}, name
        found[name] = RunDirectory(runs / name / experiment.name / "default")
        assert found[name].is_complete()
    return found


@pytest.mark.parametrize("write", [write_experiment, write_caption_experiment])
def test_two_processes_and_two_pieces_equal_one(write: Callable[..., Path], tmp_path: Path) -> None:
    # 23 images: neither their questions nor the images themselves can be divided by two batches evenly.
    file = write(tmp_path, images=23, bottleneck={"dropout": 0.0}, train={"max_steps": 12})
    found = run_each_way(file, tmp_path / "runs")
    whole = found.pop("one")
    for name, run in found.items():
        for tag in ("train/loss", "train/lr"):
            a, b = curve(whole, tag), curve(run, tag)
            assert [step for step, _ in a] == [step for step, _ in b] == list(range(1, 13)), (name, tag)
            assert [value for _, value in b] == pytest.approx([value for _, value in a], abs=1e-5), (name, tag)
        assert run.read_metrics() == pytest.approx(whole.read_metrics()), name
        assert run.predictions.read_text() == whole.predictions.read_text(), name
