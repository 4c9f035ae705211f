"""TensorBoard's event files of a resumed run: what was logged after the checkpoint's step is removed.

`SummaryWriter(purge_step=)` is no substitute: it only marks the restart in the next file. For a run that was resumed at
step 5 and again at step 7, TensorBoard's EventAccumulator over the folder then shows each step once, but the files hold
steps 5 to 8 two or three times, and readers of single files or events show all of them. A test that is repeated without
further training is shown twice by every reader: its step is not after the checkpoint's.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from lightning.pytorch.loggers import TensorBoardLogger
from numpy.typing import NDArray
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.summary.writer.event_file_writer import _AsyncWriterThread
from tensorboard.summary.writer.record_writer import RecordWriter

from vlrouting.experiment.atomic import TEMPORARY

if TYPE_CHECKING:
    from matplotlib.figure import Figure

OF_THE_TEST = ("test/", "final/", "_hparams_/")
"""Prefixes of tags that are logged after the training. They always go: a resumed run is tested again."""


def _quiet(arguments: threading.ExceptHookArgs, original: Any = threading.excepthook) -> None:
    """Print no traceback of an error of the thread that writes events: the next value that is logged raises it."""
    if not (isinstance(arguments.thread, _AsyncWriterThread) and isinstance(arguments.exc_value, OSError)):
        original(arguments)


class EventLogger(TensorBoardLogger):
    """Writes event files and nothing else: Lightning's hparams.yaml is empty here, and a kill may truncate it."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        threading.excepthook = _quiet

    def save(self) -> None:
        """Flush everything that was logged to the disk."""
        self.experiment.flush()

    def log_picture(self, name: str, pixels: NDArray[np.uint8], step: int) -> None:
        """Log a picture (height, width, 3)."""
        self.experiment.add_image(name, pixels, global_step=step, dataformats="HWC")

    def log_results(
        self,
        *,
        parameters: Mapping[str, str],
        scores: Mapping[str, float],
        panel: tuple[Figure, Path] | None,
        step: int,
    ) -> None:
        """See `loggers.RunLogger`."""
        self.log_hyperparams(dict(parameters), dict(scores))
        if panel is not None:
            self.experiment.add_figure("test/panel", panel[0], global_step=step)

    def close(self) -> None:
        """Lightning's `finalize` has done it."""


def keep_until(folder: Path, step: int) -> None:
    """Merge all event files in `folder` into one, with the values of the training up to `step`, each of them once.

    Of duplicates the last one stays; truncated records and marks of restarts are removed. Call it before the run logs
    again, in one process. A kill meanwhile loses nothing, and the next call removes the duplicates that it may leave.

    Args:
        folder: a run's `tensorboard/`; it may be empty or not there yet.
        step: the optimizer step that the run is resumed at; 0 for one that starts.
    """
    files = sorted(folder.glob("*tfevents*"))  # their names begin with the time of their creation
    if not files:
        return
    events = _kept(files, step)
    if events:
        # Readers take every file with `tfevents` in its name, so the unfinished one has another.
        temporary = folder / f"kept{TEMPORARY}"
        _write(temporary, events)
        # The first name: readers take the resumed run's file after it.
        os.replace(temporary, files[0])
    for file in files[1 if events else 0 :]:
        file.unlink()


def _kept(files: Sequence[Path], step: int) -> list[Event]:
    """An event per value, in the order of their steps."""
    # Imported here: it takes a while, and a run that starts has no files.
    from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader

    kept: dict[tuple[str, int], Event] = {}
    for file in files:
        for event in LegacyEventFileLoader(str(file)).Load():  # ends before the first truncated record
            if 0 < event.step <= step:  # steps are counted from 1; what has none is logged again
                kept.update({(name, event.step): part for name, part in _parts(event)})
    return sorted(kept.values(), key=lambda event: event.step)


def _parts(event: Event) -> Iterator[tuple[str, Event]]:
    """The values of an event one by one, each with its name."""
    for value in event.summary.value:
        if not value.tag.startswith(OF_THE_TEST):
            part = Event(wall_time=event.wall_time, step=event.step)
            part.summary.value.append(value)
            yield value.tag, part


def _write(file: Path, events: Sequence[Event]) -> None:
    version = Event(wall_time=events[0].wall_time, file_version="brain.Event:2")
    with file.open("wb") as opened:
        writer = RecordWriter(opened)
        for event in (version, *events):
            writer.write(event.SerializeToString())
        opened.flush()
        os.fsync(opened.fileno())
