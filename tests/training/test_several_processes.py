"""Two processes, or two micro-batches, give what one gives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tiny_experiment import write_caption_experiment, write_experiment, write_several_datasets
from tests.training.event_curves import curve
from vlrouting.experiment import RunDirectory, load
from vlrouting.experiment.attempts import Attempts
from vlrouting.launch.local import run_locally

pytestmark = pytest.mark.slow

SWEEP = {
    "one": {},
    "micro-batches": {"train.accumulate": 2},
    "two": {"train.devices": 2},
    "two-in-pieces": {"train.devices": 2, "train.accumulate": 2, "train.gradient_checkpointing": True},
    "sharded": {"train.devices": 2, "train.strategy": "fsdp"},
}
"""The same experiment by one process, with two micro-batches, and by two processes."""


# Imported by each process as a plugin: a notice that only the second process gets, once; and what each process holds of
# the frozen tensors when the model is where it trains.
PLUGIN = """
import os, signal
from pathlib import Path
from torch.distributed.tensor import DTensor
from vlrouting.tasks.scored import TaskModule
original = TaskModule.training_step

def training_step(self, batch, batch_index):
    if batch_index == 5 and os.environ["RANK"] == "1" and not Path("noticed").exists():
        Path("noticed").touch()
        os.kill(os.getpid(), signal.SIGUSR2)
    return original(self, batch, batch_index)

def note(self):
    frozen = [p for name, p in self.model.language.named_parameters() if ".layer." in name and not p.requires_grad]
    held = sum((p.to_local() if isinstance(p, DTensor) else p).numel() for p in frozen)
    Path(f"share-{os.environ['RANK']}").write_text(f"{held / sum(p.numel() for p in frozen):.2f}")

TaskModule.training_step = training_step
TaskModule.on_train_start = note
"""


@pytest.mark.parametrize(("strategy", "share"), [("ddp", "1.00"), ("fsdp", "0.50")])
def test_a_notice_to_one_process_stops_all_after_the_same_step(
    strategy: str, share: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "notice.py").write_text(PLUGIN)
    monkeypatch.chdir(tmp_path)
    train = {"devices": 2, "strategy": strategy, "max_steps": 12}
    experiment = load(str(write_experiment(tmp_path, plugins=["notice"], train=train)))
    assert list(run_locally(experiment, experiment.points, tmp_path / "cut")) == ["default"]
    cut = RunDirectory(tmp_path / "cut" / experiment.name / "default")
    assert cut.status() == "preempted"
    assert [(tmp_path / f"share-{rank}").read_text() for rank in (0, 1)] == [share, share]
    assert run_locally(experiment, experiment.points, tmp_path / "cut") == {}
    first, second = Attempts(cut.attempts).read()
    assert (first.outcome, second.outcome, second.first_step) == ("preempted", "complete", 6)
    assert run_locally(experiment, experiment.points, tmp_path / "whole") == {}
    whole = RunDirectory(tmp_path / "whole" / experiment.name / "default")
    weights = "adapter_model.safetensors"
    assert (cut.artifact / weights).read_bytes() == (whole.artifact / weights).read_bytes()
    assert curve(cut, "train/loss") == curve(whole, "train/loss")
    assert cut.predictions.read_text() == whole.predictions.read_text()


@pytest.mark.parametrize("write", [write_experiment, write_caption_experiment, write_several_datasets])
def test_two_processes_and_two_micro_batches_equal_one(write: Callable[..., Path], tmp_path: Path) -> None:
    # 23 images: neither their questions nor the images themselves can be divided by two batches evenly.
    train = {"max_steps": 8, "validate_every_steps": 8}
    file = write(tmp_path, images=23, bottleneck={"dropout": 0.0}, train=train, sweep={"points": SWEEP})
    experiment = load(str(file))
    assert run_locally(experiment, experiment.points, tmp_path / "runs") == {}
    runs = {name: RunDirectory(tmp_path / "runs" / experiment.name / name) for name in SWEEP}
    whole = runs.pop("one")
    for name, run in runs.items():
        for tag in ("train/loss", "train/lr"):
            a, b = curve(whole, tag), curve(run, tag)
            assert [step for step, _ in a] == [step for step, _ in b] == list(range(1, 9)), (name, tag)
            assert [value for _, value in b] == pytest.approx([value for _, value in a], abs=1e-5), (name, tag)
        assert run.read_metrics() == pytest.approx(whole.read_metrics()), name
        assert run.predictions.read_text() == whole.predictions.read_text(), name
