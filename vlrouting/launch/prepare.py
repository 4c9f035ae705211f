"""Makes what the points of a sweep share before several of them start: generated data, image features."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from vlrouting.config import ExperimentConfig
from vlrouting.experiment.exit_status import ExitStatus
from vlrouting.training.interruption import Cancelled, catch_signals
from vlrouting.training.process import set_up_process
from vlrouting.training.user_errors import USER_ERRORS, disk_errors_as_user_errors


def prepare(configs: Sequence[ExperimentConfig], threads: int) -> None:
    """Read, generate and encode, with all of the machine, in a process of its own.

    Raises:
        SystemExit: USER_ERROR, or 128 + n for signal n.
    """
    try:
        with catch_signals():
            inputs = set_up_process(configs, threads=threads)
            for config in configs:
                with disk_errors_as_user_errors(config.data.name, Path(config.data.root)):
                    examples = inputs.examples(config.data, images=config.model.visual_input == "image")
                    inputs.visual(config, examples)
    except Cancelled as stop:
        raise SystemExit(stop.exit_status) from None
    except USER_ERRORS as error:
        print(f"vlrouting: {error}", file=sys.stderr)
        raise SystemExit(int(ExitStatus.USER_ERROR)) from None
