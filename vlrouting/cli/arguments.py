"""Arguments and options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vlrouting.cli import completion

RUNS = Path("runs")


def _experiment(name: str) -> str:
    """The name; without one, an error that lists the experiments."""
    if not name:
        from vlrouting.experiment import find

        find(name)
    return name


def _experiments(names: list[str] | None) -> list[str]:
    """The names; without one, an error that lists the experiments."""
    return [_experiment(name) for name in names or [""]]


def _runs(folder: Path) -> Path:
    """The folder, if its name is safe in a batch script and as an argument of a command."""
    text = str(folder)
    if text.startswith("-") or any(ord(letter) < 32 for letter in text):
        from vlrouting.experiment import UserError

        raise UserError(f"--runs {text!r}: a folder's name must not begin with - or hold control characters")
    return folder


ExperimentName = Annotated[
    str,
    typer.Argument(
        metavar="EXP",
        help="A name in experiments/, or a YAML file.",
        callback=_experiment,
        autocompletion=completion.experiments,
        show_default=False,
    ),
]
ExperimentNames = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="EXP…",
        help="Names in experiments/, or YAML files.",
        callback=_experiments,
        autocompletion=completion.experiments,
        show_default=False,
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[key=value …]",
        help="bottleneck.rank=16 seed=7",
        autocompletion=completion.settings,
        show_default=False,
    ),
]
PointNames = Annotated[
    list[str] | None,
    typer.Option("--point", "-p", help="Only this point; may be repeated.", autocompletion=completion.points),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print what would run or be submitted; write nothing.")]
Runs = Annotated[Path, typer.Option(help="Folder of the run directories.", callback=_runs)]
