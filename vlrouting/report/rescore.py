"""Prints what `score_check` finds in the runs of an experiment: `vlrouting score --check`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vlrouting.config.names import counted, printable
from vlrouting.experiment import RunDirectory, UserError
from vlrouting.experiment.rundir import COMPLETE
from vlrouting.report.console import standard_output
from vlrouting.report.score_check import CheckedRun, Difference, check_run

MOST_DIFFERENCES = 5
"""Of a point that are printed one by one."""


def check_scores(folder: Path, trust_plugins: bool = False, console: Console | None = None) -> list[CheckedRun]:
    """Compute the numbers of complete runs again, and print what differs.

    Args:
        folder: of a run, or of an experiment's runs; those of its tuning are checked too.
        trust_plugins: import the plug-ins that a config.yaml names, where the data set is one of theirs.
        console: where to print. Default: standard output.

    Raises:
        UserError: there is no complete run.
    """
    console = console or standard_output()
    runs = _runs(folder)
    complete = {name: run for name, run in runs.items() if run.status() == COMPLETE}
    if not complete:
        where = "no complete run" if runs else "no run"
        raise UserError(f"{folder} holds {where}; name the folder of a run, or of an experiment's runs")
    checked = [check_run(run, name, trust_plugins) for name, run in complete.items()]
    console.print(_table(checked, [name for name in runs if name not in complete]))
    for line in _lines(checked):
        console.print(line, soft_wrap=True, markup=False, highlight=False)
    return checked


def _runs(folder: Path) -> dict[str, RunDirectory]:
    """Name -> run, of the folder itself or of those in it."""
    if RunDirectory(folder).run_json.is_file():
        return {folder.resolve().name: RunDirectory(folder)}
    found = sorted([*folder.glob("*/run.json"), *folder.glob("tuning/*/run.json")])
    return {file.parent.relative_to(folder).as_posix(): RunDirectory(file.parent) for file in found}


def _table(checked: Sequence[CheckedRun], incomplete: Sequence[str]) -> Table:
    table = Table(box=SIMPLE_HEAD)
    table.add_column("point", overflow="fold")
    for heading in ("examples", "numbers"):
        table.add_column(heading, justify="right")
    table.add_column("result")
    for run in checked:
        # Text, not str: rich would parse a name with brackets as markup.
        counts = ("", "") if run.problem else (f"{run.examples:,}", f"{run.numbers:,}")
        table.add_row(Text(run.point), *counts, Text(_result(run)))
    for name in incomplete:
        table.add_row(Text(name), "", "", Text("not complete"))
    return table


def _result(run: CheckedRun) -> str:
    if run.problem:
        return "not checked"
    if run.differences:
        return f"{counted(len(run.differences), 'value')} differ{'s' if len(run.differences) == 1 else ''}"
    return "as stored" + (f", without {', '.join(run.not_checked)}" if run.not_checked else "")


def _lines(checked: Sequence[CheckedRun]) -> list[str]:
    """A sentence for each thing that is not as stored, or was not checked."""
    lines = []
    reasons: dict[str, list[str]] = {}
    for run in checked:
        if run.problem:
            lines.append(f"{run.point}: {printable(run.problem)}")
        lines += [_sentence(run.point, difference) for difference in run.differences[:MOST_DIFFERENCES]]
        if (more := len(run.differences) - MOST_DIFFERENCES) > 0:
            lines.append(f"{run.point}: and {counted(more, 'more value')}")
        for name, reason in run.not_checked.items():
            reasons.setdefault(reason, []).append(name)
    return lines + [
        f"not checked: {', '.join(dict.fromkeys(names))}, because {reason}" for reason, names in reasons.items()
    ]


def _sentence(point: str, difference: Difference) -> str:
    stored, recomputed = (
        "nothing" if value is None else printable(str(value)) for value in (difference.stored, difference.recomputed)
    )
    return f"{point}: {printable(difference.name)}: stored is {stored}, the predictions give {recomputed}"
