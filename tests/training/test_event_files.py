"""Event files of a resumed run: every value once, for every reader."""

import os
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader
from torch.utils.tensorboard import SummaryWriter

from vlrouting.training.event_files import EventLogger, keep_until


def attempt(folder: Path, steps: Iterable[int], value: float = 0.0, **options: int) -> Path:
    """What one attempt logs; its event file."""
    before = set(folder.glob("*tfevents*"))
    with SummaryWriter(str(folder), **options) as writer:
        for step in steps:
            writer.add_scalar("train/loss", value + step, step)
            if step % 2 == 0:
                writer.add_scalar("validation/accuracy", value + step, step)
                writer.add_image("picture", np.full((3, 2, 2), step, dtype=np.uint8), step)
    (made,) = set(folder.glob("*tfevents*")) - before
    return made


def logged(folder: Path) -> list[tuple[str, int, float]]:
    """Every scalar of every file, duplicates included: no reader's logic hides any."""
    return sorted(
        (value.tag, event.step, value.simple_value)
        for file in folder.glob("*tfevents*")
        for event in LegacyEventFileLoader(str(file)).Load()
        for value in event.summary.value
        if value.HasField("simple_value")
    )


def expected(steps: Iterable[int], value: float = 0.0) -> list[tuple[str, int, float]]:
    loss = [("train/loss", step, value + step) for step in steps]
    return sorted(loss + [("validation/accuracy", step, v) for _, step, v in loss if step % 2 == 0])


def test_what_came_after_the_step_is_gone(tmp_path: Path) -> None:
    attempt(tmp_path, range(1, 8))
    keep_until(tmp_path, 4)
    assert logged(tmp_path) == expected(range(1, 5))
    events = EventAccumulator(str(tmp_path), size_guidance={"scalars": 0, "images": 0})
    events.Reload()
    assert [event.step for event in events.Scalars("train/loss")] == [1, 2, 3, 4]
    assert [event.step for event in events.Images("picture")] == [2, 4]
    assert len(list(tmp_path.iterdir())) == 1


def test_any_number_of_restarts(tmp_path: Path) -> None:
    done = 0
    for last_logged, saved in [(3, 0), (5, 4), (5, 4), (9, 6), (12, 12)]:
        keep_until(tmp_path, done)
        attempt(tmp_path, range(done + 1, last_logged + 1))
        done = saved
    keep_until(tmp_path, done)
    attempt(tmp_path, range(done + 1, 15))
    assert logged(tmp_path) == expected(range(1, 15))


def test_of_duplicates_the_last_one_stays(tmp_path: Path) -> None:
    first = attempt(tmp_path, range(1, 6))
    first.rename(tmp_path / "events.out.tfevents.0000000001.host.1.0")
    second = attempt(tmp_path, range(4, 7), value=100.0)
    second.rename(tmp_path / "events.out.tfevents.0000000002.host.1.0")
    keep_until(tmp_path, 5)
    assert logged(tmp_path) == sorted(expected(range(1, 4)) + expected(range(4, 6), value=100.0))
    assert [file.name for file in tmp_path.iterdir()] == ["events.out.tfevents.0000000001.host.1.0"]


def test_what_has_no_step_is_removed(tmp_path: Path) -> None:
    attempt(tmp_path, [0, 1])
    keep_until(tmp_path, 1)
    assert logged(tmp_path) == expected([1])


def test_what_the_test_logged_is_gone_whatever_its_step(tmp_path: Path) -> None:
    logger = EventLogger(tmp_path, name=None, version="tensorboard", default_hp_metric=False)
    logger.log_metrics({"train/loss": 1.0, "validation/accuracy": 2.0, "test/accuracy": 3.0}, step=10)
    logger.log_hyperparams({"seed": "3"}, {"final/accuracy": 3.0})
    logger.experiment.add_image("test/panel", np.zeros((3, 2, 2), dtype=np.uint8), 10)
    logger.finalize("success")
    folder = tmp_path / "tensorboard"
    assert [file.name.split(".")[0] for file in folder.iterdir()] == ["events"]
    keep_until(folder, 10)
    assert logged(folder) == [("train/loss", 10, 1.0), ("validation/accuracy", 10, 2.0)]
    events = EventAccumulator(str(folder))
    events.Reload()
    assert events.Tags()["images"] == [] and not events.summary_metadata.keys() & {"_hparams_/session_start_info"}


def test_a_truncated_record_goes_and_those_before_it_stay(tmp_path: Path) -> None:
    whole = attempt(tmp_path / "whole", range(1, 4)).read_bytes()
    found = set()
    for length in range(0, len(whole), 7):
        folder = tmp_path / str(length)
        folder.mkdir()
        (folder / "events.out.tfevents.0000000001.host.1.0").write_bytes(whole[:length])
        keep_until(folder, 9)
        found.add(len(logged(folder)))
        assert logged(folder) == sorted(set(logged(folder)) & set(expected(range(1, 4))))
        attempt(folder, range(4, 6))
        assert len(logged(folder)) == len(set(logged(folder)))
    assert found == {0, 1, 2, 3}


@pytest.mark.parametrize("content", [b"", b"garbage" * 50])
def test_a_file_without_a_record_goes(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "events.out.tfevents.0000000001.host.1.0").write_bytes(content)
    attempt(tmp_path, [1, 2])
    keep_until(tmp_path, 2)
    assert logged(tmp_path) == expected([1, 2]) and len(list(tmp_path.iterdir())) == 1


def test_a_run_that_starts_has_no_events(tmp_path: Path) -> None:
    keep_until(tmp_path / "nowhere", 0)
    keep_until(tmp_path, 3)
    attempt(tmp_path, range(1, 4))
    attempt(tmp_path, range(1, 3))
    keep_until(tmp_path, 0)
    assert list(tmp_path.iterdir()) == []


def test_marks_of_restarts_go(tmp_path: Path) -> None:
    """Runs of an earlier version have them; a reader that heeds them would drop what stands before."""
    attempt(tmp_path, range(1, 4))
    attempt(tmp_path, range(4, 6), purge_step=2)
    keep_until(tmp_path, 5)
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert [event.step for event in events.Scalars("train/loss")] == [1, 2, 3, 4, 5]


class Killed(BaseException):
    pass


def die(*_: object) -> None:
    raise Killed


@pytest.mark.parametrize("killed_in", ["write", "replace", "unlink"])
def test_a_kill_meanwhile_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, killed_in: str) -> None:
    for steps in (range(1, 4), range(4, 6), range(6, 9)):
        attempt(tmp_path, steps)
    moments: dict[str, tuple[object, str, Callable[..., None]]] = {
        "write": (os, "fsync", die),
        "replace": (os, "replace", die),
        "unlink": (Path, "unlink", die),
    }
    with monkeypatch.context() as patched, pytest.raises(Killed):
        patched.setattr(*moments[killed_in])
        keep_until(tmp_path, 6)
    assert set(expected(range(1, 7))) <= set(logged(tmp_path))
    assert len(list(tmp_path.glob("*tfevents*"))) == 3  # nothing unfinished among those that readers take
    keep_until(tmp_path, 6)
    assert logged(tmp_path) == expected(range(1, 7))
    assert len(list(tmp_path.iterdir())) == 1
