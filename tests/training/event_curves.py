"""TensorBoard's curves as lists."""

from __future__ import annotations

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from vlrouting.experiment import RunDirectory


def curve(run: RunDirectory, tag: str) -> list[tuple[int, float]]:
    """Steps and values over all of the run's event files; a step that was logged twice is there twice.

    File by file, because files of one process and second have no order that TensorBoard could see.
    """
    found = []
    for file in run.tensorboard.glob("events*"):
        events = EventAccumulator(str(file), size_guidance={"scalars": 0})
        events.Reload()
        if tag in events.Tags()["scalars"]:
            found += [(event.step, event.value) for event in events.Scalars(tag)]
    return sorted(found)
