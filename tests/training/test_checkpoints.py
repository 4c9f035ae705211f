"""Corrupt checkpoints: detected, named, and replaced where there is another one."""

import errno
import logging
import multiprocessing
import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from vlrouting.experiment import Experiment, RunDirectory, UserError
from vlrouting.launch.in_process import train
from vlrouting.tasks.scored import TaskModule
from vlrouting.training.checkpoints import (
    NEEDED,
    STEPS_DONE,
    AtomicCheckpointIO,
    CorruptCheckpoint,
    read_checkpoint,
)
from vlrouting.training.interruption import Cancelled
from vlrouting.training.resume import Resume

DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "truncated": lambda content: content[: len(content) // 2],
    "flipped": lambda content: flipped(content, len(content) // 2),
    "empty": lambda content: b"",
    "garbage": lambda content: b"not a checkpoint " * 100,
}


def flipped(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 0x10]) + content[place + 1 :]


def damage(path: Path, kind: str = "flipped") -> None:
    path.write_bytes(DAMAGE[kind](path.read_bytes()))


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    run = RunDirectory(tmp_path / "runs" / "x" / "default")
    run.path.mkdir(parents=True)
    run.config.touch()
    return run


def saved(run: RunDirectory, writer: AtomicCheckpointIO, *steps: int) -> None:
    for step in steps:
        writer.save_checkpoint(made(step), run.last)


def made(step: int) -> dict[str, Any]:
    state = {"up": torch.arange(300.0) + step}
    callbacks = {"RunCheckpoints": {"best_score": None, "train_seconds": 1.0}}
    return {**dict.fromkeys(NEEDED, 0), "state_dict": state, "callbacks": callbacks, STEPS_DONE: step}


def steps_in(*paths: Path) -> list[int]:
    return [int(read_checkpoint(path)[STEPS_DONE]) for path in paths]


def test_every_changed_byte_is_noticed_or_without_effect(run: RunDirectory) -> None:
    saved(run, AtomicCheckpointIO(run), 7)
    content = run.last.read_bytes()
    tensor = content.index(torch.arange(300.0).add(7).numpy().tobytes()[:64])
    noticed = 0
    for place in [*range(0, len(content), 5), *range(tensor, tensor + 200)]:
        run.last.write_bytes(flipped(content, place))
        try:
            checkpoint = read_checkpoint(run.last)
        except CorruptCheckpoint:
            noticed += 1
            continue
        assert not tensor <= place < tensor + 1200
        assert torch.equal(checkpoint.pop("state_dict")["up"], torch.arange(300.0) + 7)
        assert checkpoint == {name: value for name, value in made(7).items() if name != "state_dict"}
    assert noticed > 400


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("truncated", "not a zip file"),
        ("flipped", "the checksum of .* is wrong"),
        ("empty", "not a zip file"),
        ("garbage", "not a zip file"),
    ],
)
def test_the_file_and_what_is_wrong_are_named(run: RunDirectory, kind: str, reason: str) -> None:
    saved(run, AtomicCheckpointIO(run), 7)
    damage(run.last, kind)
    with pytest.raises(CorruptCheckpoint, match=rf"last\.ckpt is corrupt \(.*{reason}.*\)"):
        read_checkpoint(run.last)


def test_a_checkpoint_that_lacks_a_key_is_corrupt(run: RunDirectory) -> None:
    torch.save({name: value for name, value in made(1).items() if name != "loops"}, run.path.parent / "no.ckpt")
    with pytest.raises(CorruptCheckpoint, match=r"no\.ckpt is corrupt \(it has no loops\)"):
        read_checkpoint(run.path.parent / "no.ckpt")


def test_the_one_before_is_kept(run: RunDirectory, caplog: pytest.LogCaptureFixture) -> None:
    assert Resume.newest_valid(run) == Resume()
    saved(run, AtomicCheckpointIO(run), 3)
    assert not run.previous.exists()
    writer = AtomicCheckpointIO(run)  # of another attempt, which resumes from the last one
    writer.load_checkpoint(run.last, weights_only=True)
    saved(run, writer, 6, 9)
    writer.save_checkpoint(made(4), run.best)
    assert steps_in(run.previous, run.last, run.best) == [6, 9, 4]
    resume = Resume.newest_valid(run)
    assert (resume.path, resume.steps_done) == (run.last, 9)
    assert not caplog.records


def test_a_corrupt_last_one_is_replaced(run: RunDirectory, caplog: pytest.LogCaptureFixture) -> None:
    saved(run, AtomicCheckpointIO(run), 3, 6)
    damage(run.last)
    resume = Resume.newest_valid(run)
    assert (resume.path, resume.steps_done) == (run.previous, 3)
    (warning,) = caplog.records
    assert warning.levelno == logging.WARNING
    assert f"{run.last} is corrupt (the checksum of" in warning.message
    assert warning.message.endswith("resuming from previous.ckpt, step 3")


def test_a_corrupt_one_never_replaces_a_valid_one(run: RunDirectory) -> None:
    saved(run, AtomicCheckpointIO(run), 3, 6)
    damage(run.last)
    writer = AtomicCheckpointIO(run)
    writer.load_checkpoint(run.previous, weights_only=True)
    saved(run, writer, 6)
    assert steps_in(run.previous, run.last) == [3, 6]
    saved(run, writer, 9)
    assert steps_in(run.previous, run.last) == [6, 9]


@pytest.mark.parametrize("previous", ["truncated", None])
def test_nothing_to_resume_from(run: RunDirectory, previous: str | None) -> None:
    saved(run, AtomicCheckpointIO(run), *([3, 6] if previous else [6]))
    damage(run.last, "empty")
    if previous:
        damage(run.previous, previous)
    with pytest.raises(UserError) as caught:
        Resume.newest_valid(run)
    assert "last.ckpt is corrupt" in str(caught.value)
    assert ("previous.ckpt is corrupt" in str(caught.value)) == (previous is not None)
    assert str(caught.value).endswith(f"To train this point again: rm -r '{run.last.parent}'")


class Killed(BaseException):
    pass


def test_a_kill_between_the_two_renames(run: RunDirectory, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = AtomicCheckpointIO(run)
    saved(run, writer, 3, 6)
    replace, calls = os.replace, []

    def killed_at_the_second(source: Path, target: Path) -> None:
        calls.append(target)
        if len(calls) == 2:
            raise Killed
        replace(source, target)

    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(os, "replace", killed_at_the_second)
        saved(run, writer, 9)
    assert calls == [run.previous, run.last] and not run.last.exists()
    resume = Resume.newest_valid(run)
    assert (resume.path, resume.steps_done) == (run.previous, 6)
    writer = AtomicCheckpointIO(run)
    writer.load_checkpoint(resume.path, weights_only=True)
    saved(run, writer, 9)
    assert steps_in(run.previous, run.last) == [6, 9]


@pytest.mark.parametrize("in_use", ["last", "previous"])
def test_a_complete_run_keeps_one(run: RunDirectory, in_use: str) -> None:
    saved(run, AtomicCheckpointIO(run), 6, 9)
    Resume(getattr(run, in_use)).keep_only(run)
    assert steps_in(run.last) == [9 if in_use == "last" else 6] and not run.previous.exists()


def save_on_a_full_disk(run: RunDirectory) -> None:
    """For a process of its own: a limit on the size of files stands for the disk, and fails in the same call."""
    writer = AtomicCheckpointIO(run)
    writer.load_checkpoint(run.last, weights_only=True)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
    try:
        writer.save_checkpoint({"state_dict": torch.zeros(100_000)}, run.last)
    except OSError as error:
        os._exit(error.errno or 0)


def test_a_full_disk_leaves_the_old_one(run: RunDirectory) -> None:
    saved(run, AtomicCheckpointIO(run), 3, 6)
    process = multiprocessing.get_context("fork").Process(target=save_on_a_full_disk, args=(run,))
    process.start()
    process.join()
    assert process.exitcode == errno.EFBIG
    assert steps_in(run.previous, run.last) == [3, 6]
    assert len(list(run.last.parent.iterdir())) == 2


# Whole runs: saved after steps 3, 4, 6, 8 and 10, validated after 4 and 8.


def stop_in(monkeypatch: pytest.MonkeyPatch, step: int, method: str = "training_step") -> None:
    """Stop this process, once, in the middle of a step."""
    original = getattr(TaskModule, method)
    sent = []

    def interrupted(self: TaskModule, batch: object, batch_index: int) -> object:
        if batch_index == step and not sent:
            sent.append(True)
            os.kill(os.getpid(), signal.SIGTERM)
        return original(self, batch, batch_index)

    monkeypatch.setattr(TaskModule, method, interrupted)


Cut = Callable[..., tuple[Experiment, RunDirectory]]


@pytest.fixture
def cut(experiment: Callable[..., Experiment], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cut:
    """A run that was stopped."""

    def make(step: int, method: str = "training_step", *overrides: str) -> tuple[Experiment, RunDirectory]:
        point = experiment(*overrides)
        stop_in(monkeypatch, step, method)
        with pytest.raises(Cancelled):
            train(point, point.points, tmp_path / "cut")
        return point, RunDirectory(tmp_path / "cut" / point.name / "default")

    return make


def assert_ends_like_a_whole_one(point: Experiment, done: RunDirectory, tmp_path: Path) -> None:
    assert train(point, point.points, tmp_path / "cut") == {}
    assert train(point, point.points, tmp_path / "whole") == {}
    whole = RunDirectory(tmp_path / "whole" / point.name / "default")
    a, b = (load_file(run.artifact / "adapter_model.safetensors") for run in (whole, done))
    assert a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
    assert done.read_metrics() == whole.read_metrics()
    assert sorted(path.name for path in done.last.parent.iterdir()) == sorted(
        path.name for path in whole.last.parent.iterdir()
    )
    assert steps_in(done.last) == [10]


@pytest.mark.parametrize("kind", DAMAGE)
def test_a_run_goes_on_from_the_one_before(
    cut: Cut, tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    point, run = cut(6)
    assert steps_in(run.previous, run.last) == [6, 7]
    damage(run.last, kind)
    assert_ends_like_a_whole_one(point, run, tmp_path)
    assert [record.message for record in caplog.records if "resuming from previous.ckpt, step 6" in record.message]


def test_training_was_done_and_its_last_checkpoint_is_corrupt(cut: Cut, tmp_path: Path) -> None:
    point, run = cut(1, "test_step")
    damage(run.last)
    assert_ends_like_a_whole_one(point, run, tmp_path)


def test_both_corrupt_is_one_clear_error(cut: Cut, tmp_path: Path) -> None:
    point, run = cut(6)
    damage(run.last), damage(run.previous, "empty")
    with pytest.raises(UserError, match=r"last\.ckpt is corrupt .*; .*previous\.ckpt is corrupt .*rm -r"):
        train(point, point.points, tmp_path / "cut")
    assert run.status() == "failed"
    for path in run.last.parent.iterdir():  # the remedy
        path.unlink()
    run.last.parent.rmdir()
    assert_ends_like_a_whole_one(point, run, tmp_path)


@pytest.mark.parametrize("kind", ["flipped", "gone"])
def test_the_best_weights_have_no_substitute(
    cut: Cut, tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    point, run = cut(1, "test_step", "evaluate.checkpoint=best")
    if kind == "gone":
        run.best.unlink()
    else:
        damage(run.best)
    with pytest.raises(UserError, match=r"best\.ckpt is corrupt .* no other copy of them\. To train .*: rm -r"):
        train(point, point.points, tmp_path / "cut")
    assert "Unless a later validation is better" in caplog.text
    assert not run.is_complete()


def test_a_better_validation_replaces_corrupt_best_weights(
    cut: Cut, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # With these settings the second validation is better than the first.
    point, run = cut(5, "training_step", "evaluate.checkpoint=best", "train.lr=0.001", "seed=4")
    damage(run.best)
    assert_ends_like_a_whole_one(point, run, tmp_path)
    assert "Unless a later validation is better" in caplog.text


def test_of_equal_scores_the_first_is_the_best(experiment: Callable[..., Experiment], tmp_path: Path) -> None:
    """Without learning, the validations after 4 and 8 steps score the same."""
    point = experiment("train.lr=1e-12", "evaluate.checkpoint=best")
    assert train(point, point.points, tmp_path / "runs") == {}
    run = RunDirectory(tmp_path / "runs" / point.name / "default")
    assert steps_in(run.best, run.last) == [4, 10]
