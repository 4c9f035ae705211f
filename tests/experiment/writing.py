"""Writes an experiment, and reads what is said about it."""

from __future__ import annotations

from pathlib import Path

import pytest

from vlrouting.config import ExperimentConfig, Problem
from vlrouting.experiment import ExperimentErrors, load
from vlrouting.experiment.validation import CheckFiles


def write(experiments: Path, name: str, text: str) -> None:
    """A YAML file in the experiments folder."""
    (experiments / f"{name}.yaml").write_text(text, encoding="utf-8")


def error_lines(
    name: str = "x", overrides: tuple[str, ...] = (), missing: tuple[Problem, ...] | CheckFiles = ()
) -> list[str]:
    """The lines of the message, without the folder."""

    def check_files(config: ExperimentConfig) -> list[Problem]:
        return list(missing) if isinstance(missing, tuple) else missing(config)

    with pytest.raises(ExperimentErrors) as caught:
        load(name, overrides, check_files=check_files)
    lines = str(caught.value).split("\n")
    assert list(map(str, caught.value.diagnostics)) == lines
    return [line.removeprefix("experiments/") for line in lines]
