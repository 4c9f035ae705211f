"""NaN and infinities end a run at the step where they appear, and nothing of that step is kept."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.tiny_experiment import write_caption_experiment, write_experiment
from vlrouting.experiment import Experiment, RunDirectory, load
from vlrouting.launch.in_process import train
from vlrouting.launch.local import run_locally
from vlrouting.models.finite import NanWatch
from vlrouting.models.joint_model import JointModel
from vlrouting.models.not_finite import NotFinite
from vlrouting.tasks.scored import TaskModule
from vlrouting.training.checkpoints import read_checkpoint

Make = Callable[..., Experiment]


def failure(experiment: Experiment, runs: Path, capsys: pytest.CaptureFixture[str]) -> tuple[str, RunDirectory]:
    """Why the only point failed: the same sentence everywhere, no traceback, and no result."""
    reason = train(experiment, experiment.points, runs)["default"]
    run = RunDirectory(runs / experiment.name / "default")
    assert run.status() == "failed" and run.read_run()["error"] == reason
    assert "Traceback" not in capsys.readouterr().err
    assert not run.artifact.exists() and not run.metrics.exists()
    for checkpoint in (run.last, run.previous, run.best):
        if checkpoint.is_file():
            assert all(bool(torch.isfinite(t).all()) for t in read_checkpoint(checkpoint)["state_dict"].values())
    return reason, run


@pytest.mark.parametrize(
    "keys",
    [{}, {"accumulate": 2}, {"precision": "bf16-mixed"}, {"checkpoint_every_steps": 1}],
    ids=["plain", "micro-batches", "bf16", "saved each step"],
)
def test_a_learning_rate_that_is_too_high(
    keys: dict[str, Any], experiment: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = {"lr": 1e6, "schedule": "constant", "weight_decay": 0.01, **keys}
    reason, run = failure(experiment(train=settings), tmp_path / "runs", capsys)
    step = int(reason.removeprefix("step ").split(",")[0])
    assert 2 <= step <= 4 and "learning rate 1e+06" in reason and "lower train.lr" in reason and "clip_norm" in reason
    if run.last.is_file():
        assert read_checkpoint(run.last)["global_step"] < step
    again, _ = failure(experiment(train=settings), tmp_path / "runs", capsys)  # resumed, it ends at the same step
    assert again == reason


def breaking(monkeypatch: pytest.MonkeyPatch, step: int, damage: Callable[[TaskModule, Tensor], Tensor]) -> None:
    """Damages a training step's loss, gradient or weights."""
    original = TaskModule.training_step

    def training_step(self: TaskModule, batch: Any, index: int) -> Tensor:
        loss = original(self, batch, index)
        return damage(self, loss) if index == step - 1 else loss

    monkeypatch.setattr(TaskModule, "training_step", training_step)


class _NanGradient(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, loss: Tensor) -> Tensor:
        return loss.clone()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        return gradient * torch.nan


def spoil_weight(task: TaskModule, loss: Tensor) -> Tensor:
    bias = task.model.head[0].bias  # type: ignore[index, union-attr]
    task.trainer.optimizers[0].register_step_post_hook(lambda *_: bias.data[0].fill_(torch.inf))
    return loss


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda task, loss: loss * torch.inf, "step 5, learning rate .*: the loss is inf"),
        (lambda task, loss: _NanGradient.apply(loss), "step 5, .*: the norm of the gradient is nan"),
        (spoil_weight, r"step 5, .*: head\.0\.bias holds NaN or an infinity"),
    ],
    ids=["loss", "gradient", "weight"],
)
def test_the_step_is_named_and_what_is_wrong(
    damage: Any, said: str, experiment: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    breaking(monkeypatch, 5, damage)
    reason, run = failure(experiment("train.clip_norm=1"), tmp_path / "runs", capsys)
    assert re.match(said, reason), reason
    assert "lower train.lr (0.01), and train" in reason  # it is clipped already
    assert read_checkpoint(run.last)["global_step"] == 4


def test_before_anything_is_trained_it_is_not_the_learning_rate(
    experiment: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    breaking(monkeypatch, 1, lambda task, loss: loss * torch.nan)
    reason, _ = failure(experiment(), tmp_path / "runs", capsys)
    assert "step 1, " in reason and "check the data" in reason and "lower" not in reason


@pytest.mark.parametrize("split", ["validation", "test"])
def test_a_score_that_is_no_number(
    split: str, experiment: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    score = TaskModule._score

    def nan(self: TaskModule, scored: str, predictions: Any) -> Any:
        found = score(self, scored, predictions)
        if scored == split:
            self.scores[f"{split}/vqa_accuracy"] = float("nan")
        return found

    monkeypatch.setattr(TaskModule, "_score", nan)
    reason, _ = failure(experiment(), tmp_path / "runs", capsys)
    assert reason.startswith(f"step {4 if split == 'validation' else 10}: {split}/vqa_accuracy is nan")


def test_features_that_are_not_finite_name_their_example(
    experiment: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    features = JointModel._features

    def broken(self: JointModel, batch: Any, shape: Any) -> Tensor:
        found = features(self, batch, shape).clone()
        found[[example.images[0].name.endswith("1005.jpg") for example in batch.examples]] = torch.nan
        return found

    monkeypatch.setattr(JointModel, "_features", broken)
    reason, _ = failure(experiment("data.validation=null"), tmp_path / "runs", capsys)
    assert re.search("the visual features of [12] of the batch's 16 examples", reason)
    assert "COCO_val2014_000000001005.jpg" in reason and "hold NaN or an infinity" in reason


def test_nan_among_the_logits_of_a_generated_text(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    watch = NanWatch(2)
    finite = torch.tensor([[0.0, -torch.inf]] * 4)  # -inf is a token that must not come
    assert watch(torch.zeros(4, 1), finite) is finite
    watch.check()
    watch(torch.zeros(4, 1), torch.tensor([[0.0, 1.0]] * 3 + [[torch.nan, 1.0]]))
    watch(torch.zeros(4, 1), finite)
    with pytest.raises(NotFinite, match="the logits hold NaN") as error:
        watch.check()
    assert error.value.rows == [1]
    captions = load(str(write_caption_experiment(tmp_path, images=4, train={"max_steps": 1})), [])
    monkeypatch.setattr(JointModel, "with_prefix", _nan_prefix(JointModel.with_prefix))
    reason, _ = failure(captions, tmp_path / "runs", capsys)
    assert "the logits of 4 of the batch's 4 examples" in reason


def _nan_prefix(original: Callable[..., tuple[Tensor, Tensor]]) -> Callable[..., tuple[Tensor, Tensor]]:
    def with_prefix(model: JointModel, visual: Tensor, text: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        embeddings, mask = original(model, visual, text, mask)
        return (embeddings if torch.is_grad_enabled() else embeddings * torch.nan), mask

    return with_prefix


def test_the_other_points_of_a_sweep_train(tmp_path: Path) -> None:
    sweep = {"grid": {"train.lr": [1e6, 0.01]}}
    file = write_experiment(tmp_path, data={"validation": None}, train={"max_steps": 4}, sweep=sweep)
    experiment = load(str(file), [])
    assert list(train(experiment, experiment.points, tmp_path / "runs")) == ["lr=1000000.0"]
    assert RunDirectory(tmp_path / "runs" / "tiny" / "lr=0.01").is_complete()


# Imported by each process as a plug-in: the loss of the second process alone becomes infinite at step 5.
PLUGIN = """
import os
from vlrouting.tasks.scored import TaskModule
original = TaskModule.training_step

def training_step(self, batch, index):
    loss = original(self, batch, index)
    return loss + float("inf") if (os.environ["RANK"], index) == ("1", 4) else loss

TaskModule.training_step = training_step
"""


@pytest.mark.slow
def test_all_processes_end_at_the_step_at_which_one_of_them_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "spoilt.py").write_text(PLUGIN)
    monkeypatch.chdir(tmp_path)
    train_section = {"devices": 2, "max_steps": 12, "checkpoint_every_steps": 1, "validate_every_steps": 12}
    experiment = load(str(write_experiment(tmp_path, plugins=["spoilt"], train=train_section)), [])
    failed = run_locally(experiment, experiment.points, tmp_path / "runs")
    run = RunDirectory(tmp_path / "runs" / experiment.name / "default")
    assert list(failed) == ["default"] and run.status() == "failed"
    assert "step 5, learning rate" in str(run.read_run()["error"])
    assert read_checkpoint(run.last)["global_step"] == 4
    assert run.log.read_text().count("step 5, learning rate") == 2 and "Traceback" not in run.log.read_text()
