"""One attempt at a run, in a process of its own, which is killed outright at a given moment.

A moment is a number of calls, Python's and C's, after a place of the run: it falls into any line of any library, and
is the same on a slow machine.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import Any

# What an attempt needs, so that the server from which the attempts are forked has it already.
import pytest  # noqa: F401
import transformers.models.roberta.modeling_roberta  # noqa: F401
from torch.utils.tensorboard import SummaryWriter  # noqa: F401

import vlrouting.training.point
from vlrouting.experiment import load
from vlrouting.launch.in_process import train
from vlrouting.tasks.scored import TaskModule

PLACES: dict[str, tuple[Any, str]] = {
    "training": (TaskModule, "training_step"),
    "validation": (TaskModule, "validation_step"),
    "test": (TaskModule, "test_step"),
    "writing": (vlrouting.training.point, "write_artifact"),
}
"""What is called first there. `start` is the first of all."""


class Counter:
    """Counts calls; kills the process at the last one, if there is one."""

    def __init__(self, last: int | None = None) -> None:
        self.calls, self.last = 0, last

    def __call__(self, frame: FrameType, event: str, argument: object) -> None:
        """As a profile function."""
        self.calls += 1
        if self.calls == self.last:
            os.kill(os.getpid(), signal.SIGKILL)


def killed(file: Path, runs: Path, place: str, calls: int) -> None:
    """Train, and die `calls` calls after `place` is first reached."""
    counter = Counter(calls)
    if place == "start":
        sys.setprofile(counter)
    else:
        _at_first_call(place, lambda: sys.setprofile(counter))
    _train(file, runs)


def uninterrupted(file: Path, runs: Path, found: Path) -> None:
    """Train, and write how many calls there were before each place and in all."""
    counter, marks = Counter(), {"start": 0}
    for place in PLACES:
        _at_first_call(place, lambda place=place: marks.__setitem__(place, counter.calls))
    sys.setprofile(counter)
    _train(file, runs)
    sys.setprofile(None)
    found.write_text(json.dumps({**marks, "end": counter.calls}))


def _train(file: Path, runs: Path) -> None:
    experiment = load(str(file))
    failed = train(experiment, experiment.points, runs)
    assert not failed, failed


def _at_first_call(place: str, action: Any) -> None:
    owner, name = PLACES[place]
    original, pending = getattr(owner, name), [action]

    def called(*arguments: Any, **options: Any) -> Any:
        if pending:
            pending.pop()()
        return original(*arguments, **options)

    setattr(owner, name, called)
