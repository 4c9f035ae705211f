"""Two processes, or two pieces, give what one gives; several points run at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tiny_experiment import write_caption_experiment, write_experiment
from tests.training.event_curves import curve
from vlrouting.experiment import RunDirectory, load
from vlrouting.experiment.attempts import Attempts
from vlrouting.launch.local import run_locally

pytestmark = pytest.mark.slow

WAYS = {
    "one": [],
    "two": ["train.devices=2"],
    "pieces": ["train.accumulate=2"],
    "two in pieces": ["train.devices=2", "train.accumulate=2"],
    "two that recompute": ["train.devices=2", "train.gradient_checkpointing=true"],
    "sharded": ["train.devices=2", "train.strategy=fsdp"],
}


# Imported by each process as a plugin: what it holds of the frozen tensors once the model is where it trains.
SHARES = """
import os
from pathlib import Path
from torch.distributed.tensor import DTensor
from vlrouting.tasks.scored import TaskModule

def note(self):
    frozen = [p for name, p in self.model.language.named_parameters() if ".layer." in name and not p.requires_grad]
    held = sum((p.to_local() if isinstance(p, DTensor) else p).numel() for p in frozen)
    Path(f"share-{os.environ['RANK']}").write_text(f"{held / sum(p.numel() for p in frozen):.2f}")

TaskModule.on_train_start = note
"""


@pytest.mark.parametrize(("strategy", "share"), [("ddp", "1.00"), ("fsdp", "0.50")])
def test_fsdp_holds_a_part_of_what_is_frozen(
    strategy: str, share: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shares.py").write_text(SHARES)
    monkeypatch.chdir(tmp_path)
    train = {"devices": 2, "strategy": strategy, "max_steps": 2, "validate_every_steps": 2}
    experiment = load(str(write_experiment(tmp_path, plugins=["shares"], train=train)))
    assert run_locally(experiment, experiment.points, tmp_path / "runs") == {}
    assert [(tmp_path / f"share-{rank}").read_text() for rank in (0, 1)] == [share, share]


# A notice that only the second process gets, once.
NOTICE = """
import os, signal
from pathlib import Path
from vlrouting.tasks.scored import TaskModule
original = TaskModule.training_step

def training_step(self, batch, batch_index):
    if batch_index == 5 and os.environ["RANK"] == "1" and not Path("noticed").exists():
        Path("noticed").touch()
        os.kill(os.getpid(), signal.SIGUSR1)
    return original(self, batch, batch_index)

TaskModule.training_step = training_step
"""


@pytest.mark.parametrize("strategy", ["ddp", "fsdp"])
def test_a_notice_to_one_process_stops_all_after_the_same_step(
    strategy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "notice.py").write_text(NOTICE)
    monkeypatch.chdir(tmp_path)
    train = {"devices": 2, "strategy": strategy, "max_steps": 12}
    experiment = load(str(write_experiment(tmp_path, plugins=["notice"], train=train)))
    assert list(run_locally(experiment, experiment.points, tmp_path / "cut")) == ["default"]
    cut = RunDirectory(tmp_path / "cut" / experiment.name / "default")
    assert cut.status() == "preempted"
    assert run_locally(experiment, experiment.points, tmp_path / "cut") == {}
    first, second = Attempts(cut.attempts).read()
    assert (first.outcome, second.outcome, second.first_step) == ("preempted", "complete", 6)
    assert run_locally(experiment, experiment.points, tmp_path / "whole") == {}
    whole = RunDirectory(tmp_path / "whole" / experiment.name / "default")
    weights = "adapter_model.safetensors"
    assert (cut.artifact / weights).read_bytes() == (whole.artifact / weights).read_bytes()
    assert curve(cut, "train/loss") == curve(whole, "train/loss")
    assert cut.predictions.read_text() == whole.predictions.read_text()


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
