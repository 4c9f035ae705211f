"""TensorBoard's event files of a run that goes on: what was logged after the step it goes on from is taken out.

TensorBoard itself hides such doubles only where it is told of the restart, and other readers do not know of that.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from lightning.pytorch.loggers import TensorBoardLogger
from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.summary.writer.record_writer import RecordWriter

from vlrouting.experiment.atomic import TEMPORARY

OF_THE_TEST = ("test/", "final/", "_hparams_/")
"""How the tags begin that come after the training. A run that goes on is tested anew, whatever their step."""


class EventLogger(TensorBoardLogger):
    """Writes event files and nothing beside them: Lightning's hparams.yaml is empty here, and a kill may cut it off."""

    def save(self) -> None:
        """Bring everything that was logged to the disk."""
        self.experiment.flush()


def keep_until(folder: Path, step: int) -> None:
    """Make one event file of all in `folder`, with what belongs to steps up to `step` and to training: each value once.

    Of doubles the last one stays; torn records and marks of restarts go. Call it before the run logs again, in one
    process. A kill meanwhile loses nothing that is kept, and the next call removes the doubles that it may leave.

    Args:
        folder: a run's `tensorboard/`; it may be empty or not there yet.
        step: the optimizer step that the run goes on from, 0 for one that starts anew.
    """
    files = sorted(folder.glob("*tfevents*"))  # their names begin with the time they were made at
    events = _kept(files, step)
    if events:
        # Readers take every file with `tfevents` in its name, so the unfinished one has another.
        temporary = folder / f"kept{TEMPORARY}"
        _write(temporary, events)
        # The first name: the file of the run that goes on is read after it.
        os.replace(temporary, files[0])
    for file in files[1 if events else 0 :]:
        file.unlink()


def _kept(files: Sequence[Path], step: int) -> list[Event]:
    """An event per value, in the order of their steps."""
    kept: dict[tuple[str, int], Event] = {}
    for file in files:
        for event in LegacyEventFileLoader(str(file)).Load():  # ends before the first record that is torn
            if 0 < event.step <= step:  # steps are counted from 1; what has none is logged anew
                kept.update({(name, event.step): part for name, part in _parts(event)})
    return sorted(kept.values(), key=lambda event: event.step)


def _parts(event: Event) -> Iterator[tuple[str, Event]]:
    """What an event says, value by value, each with its name."""
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
