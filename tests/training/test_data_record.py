"""data.json of a run, and the sheet of its training split in TensorBoard."""

from __future__ import annotations

import logging
import os
import random
import shutil
import signal
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator, ImageEvent

from vlrouting.data.inspection.data_file import DataRecord, read_data_record
from vlrouting.data.inspection.description import ShownExample, describe
from vlrouting.experiment import Experiment, RunDirectory
from vlrouting.launch.in_process import train
from vlrouting.report import data_sheet
from vlrouting.tasks.scored import TaskModule
from vlrouting.training.data_record import TAG, record_data
from vlrouting.training.interruption import Cancelled
from vlrouting.training.loggers import make_loggers

Make = Callable[..., Experiment]
Run = Callable[..., RunDirectory]


def sheets(run: RunDirectory) -> list[ImageEvent]:
    """Over all event files of the run."""
    found = []
    for file in run.tensorboard.glob("events*"):
        events = EventAccumulator(str(file))
        events.Reload()
        found += events.Images(TAG) if TAG in events.Tags()["images"] else []
    return found


def test_what_a_run_says_of_its_data(experiment: Make, run: Run) -> None:
    done = run(experiment())
    record = read_data_record(done.data)
    training, validation = record.splits
    assert (training.name, training.roles) == ("train2014", ("train",))
    assert (validation.name, validation.roles) == ("val2014", ("validation", "test"))
    assert (training.examples, training.images, training.questions) == (48, 24, 48)
    words, tokens = training.lengths
    assert words.counts == {4: 24, 5: 24} and tokens.unit == "tokens" and tokens.limit == 19
    assert len(record.examples) == 12 and all(Path(example.images[0]).is_file() for example in record.examples)
    (sheet,) = sheets(done)
    assert sheet.step == 1
    with Image.open(BytesIO(sheet.encoded_image_string)) as image:
        drawn = {tuple(color) for color in np.asarray(image.convert("RGB")).reshape(-1, 3)[::7].tolist()}
    assert drawn & {(200, 0, 0), (0, 200, 0), (0, 0, 200), (200, 200, 0)}  # of the training images


def test_a_resumed_run_says_it_once(
    experiment: Make, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    point, step = experiment(), TaskModule.training_step
    sent: list[int] = []

    def stopped(self: TaskModule, batch: object, batch_index: int) -> torch.Tensor:
        if batch_index == 5 and not sent:
            sent.append(batch_index)
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, batch, batch_index)

    monkeypatch.setattr(TaskModule, "training_step", stopped)
    with pytest.raises(Cancelled):
        train(point, point.points, tmp_path / "runs")
    cut = RunDirectory(tmp_path / "runs" / point.name / "default")
    written, (before,) = cut.data.stat().st_mtime_ns, sheets(cut)
    done = run(point)
    (after,) = sheets(done)
    assert after.encoded_image_string == before.encoded_image_string and done.data.stat().st_mtime_ns == written
    done.data.unlink()  # as in a run of an older version
    shutil.rmtree(done.artifact)
    assert run(point).data.exists() and len(sheets(done)) == 1


def test_no_image_folder_and_no_logger(experiment: Make, run: Run, tmp_path: Path) -> None:
    point = experiment("model.visual_input=none", "bottleneck.routing=none", train={"logger": ["csv"]})
    for folder in ("train2014", "val2014"):
        shutil.rmtree(tmp_path / "data" / folder)
    done = run(point)
    assert len(read_data_record(done.data).examples) == 12 and sheets(done) == []


def a_record(image: Path) -> DataRecord:
    shown = ShownExample(1, (str(image),), "what?", (("yes", 1),))
    return DataRecord("vqav2", (describe("train", []),), (shown,))


def test_a_broken_image_or_drawing_stops_nothing(
    experiment: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "broken.png").write_bytes(b"no image")
    config = experiment().points[0].config
    for name in ("box", "none"):
        if name == "none":
            monkeypatch.delattr(data_sheet, "wrap")
        run = RunDirectory(tmp_path / name)
        (logger,) = make_loggers(["tensorboard"], run)
        with caplog.at_level(logging.WARNING):
            record_data(run, config, a_record(tmp_path / "broken.png"), [logger], starts=True)
        logger.finalize("success")
        assert run.data.is_file() and len(sheets(run)) == (name == "box")
        assert ("was not drawn" in caplog.text) == (name == "none")


def test_no_random_state_changes(experiment: Make, tmp_path: Path) -> None:
    def states() -> tuple[object, ...]:
        return random.getstate(), torch.get_rng_state().tolist(), np.random.get_state()[1].tolist()  # type: ignore[index]

    run, config = RunDirectory(tmp_path / "run"), experiment().points[0].config
    before = states()
    (logger,) = make_loggers(["tensorboard"], run)
    record_data(run, config, a_record(tmp_path / "none.png"), [logger], starts=True)
    assert states() == before
    logger.finalize("success")
    assert len(sheets(run)) == 1


def test_who_wants_no_panel_gets_no_sheet(experiment: Make, tmp_path: Path) -> None:
    run, config = RunDirectory(tmp_path / "run"), experiment("evaluate.panel=0").points[0].config
    (logger,) = make_loggers(["tensorboard"], run)
    record_data(run, config, a_record(tmp_path / "none.png"), [logger], starts=True)
    logger.finalize("success")
    assert run.data.is_file() and sheets(run) == []
