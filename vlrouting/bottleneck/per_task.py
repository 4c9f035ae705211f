"""One bottleneck per task behind the same target: the hooks of each act in the forward passes of its task only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from torch.utils.hooks import RemovableHandle

from vlrouting.bottleneck.base import Bottleneck
from vlrouting.config import BottleneckConfig


class _HookOfOneTask:
    """A hook that does nothing in the forward passes of other tasks. A deep copy belongs to the copied bottleneck."""

    def __init__(self, hook: Callable[..., Any], bottleneck: Bottleneck) -> None:
        self.hook, self.bottleneck = hook, bottleneck

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self.hook(*args, **kwargs) if self.bottleneck.acts else None


def only_for_its_task(handles: Iterable[RemovableHandle], bottleneck: Bottleneck) -> None:
    """Replace the hooks that a bottleneck has installed by those that act for its task only, whatever its kind."""
    for handle in handles:
        hooks = handle.hooks_dict_ref()
        assert hooks is not None
        hooks[handle.id] = _HookOfOneTask(hooks[handle.id], bottleneck)


def tasks_with_bottlenecks(configs: Iterable[BottleneckConfig], tasks: Sequence[str]) -> tuple[str, ...]:
    """The tasks that bottlenecks are built for; none where no configuration needs them.

    Raises:
        ValueError: a configuration needs tasks and there are none, or a name that no module can have.
    """
    needing = next((config for config in configs if config.needs_tasks), None)
    if needing is None:
        return ()
    if not tasks:
        who = "per_task" if needing.per_task else f"kind: {needing.kind}"
        raise ValueError(f"{who}: no tasks are given; name them, as in attach(..., tasks=['vqa', 'captions'])")
    for task in tasks:
        if not task or "." in task or tasks.count(task) > 1:
            raise ValueError(f"tasks: '{task}' is given twice, empty or has a dot; give each task a name of its own")
    return tuple(tasks)
