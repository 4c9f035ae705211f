"""Packages that `train.logger` needs beside those of vlrouting. Imports no torch."""

from __future__ import annotations

from importlib.util import find_spec

from vlrouting.config import Problem, TrainConfig

OPTIONAL = ("wandb", "mlflow")
"""Loggers that are packages of their own; `vlrouting[NAME]` installs one."""


def missing_logger_packages(train: TrainConfig) -> list[Problem]:
    """A problem for each logger whose package is not installed."""
    lacking = [name for name in OPTIONAL if name in train.logger and find_spec(name) is None]
    return [
        Problem(("train.logger",), f"the package {name} is not installed", f'run: pip install "vlrouting[{name}]"')
        for name in lacking
    ]
