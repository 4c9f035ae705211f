"""What the points of a sweep share, made once before several of them start: data that are generated, image features."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import torch

from vlrouting.config import ExperimentConfig
from vlrouting.experiment.plugins import import_plugins
from vlrouting.training.allocator import keep_freed_memory
from vlrouting.training.device import choose_device
from vlrouting.training.inputs import SharedInputs
from vlrouting.training.interruption import Cancelled, catch_signals
from vlrouting.training.user_errors import USER_MISTAKES, disk_errors_told


def prepare(configs: Sequence[ExperimentConfig], threads: int) -> None:
    """Read, generate and encode, with all of the machine. For a process of its own.

    Raises:
        SystemExit: 2 for a user's mistake, 128 + n for a signal.
    """
    torch.set_num_threads(threads)
    inputs = SharedInputs(choose_device(configs))
    if inputs.device.type == "cpu":
        keep_freed_memory()
    try:
        with catch_signals():
            for config in configs:
                import_plugins(config.plugins)
                with disk_errors_told(config.data.name, Path(config.data.root)):
                    examples = inputs.examples(config.data, images=config.model.visual_input == "image")
                    inputs.visual(config, examples)
    except Cancelled as stop:
        raise SystemExit(stop.exit_status) from None
    except USER_MISTAKES as error:
        print(f"vlrouting: {error}", file=sys.stderr)
        raise SystemExit(2) from None
