"""Tasks: one file per kind of task, with its collate functions, its LightningModule and its predictions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vlrouting.config import TASKS, TaskFacts

if TYPE_CHECKING:
    from vlrouting.tasks.task import Task


def register_task(name: str, facts: TaskFacts, task: Task) -> None:
    """Make `task: name` available. A module that calls this is named under an experiment's `plugins`.

    Raises:
        ValueError: the name is taken by another task.
    """
    TASKS.register(name, facts, task)
