"""The comparison that a sweep ends with: on the console and in files beside the run directories."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from vlrouting.report.console import standard_output
from vlrouting.report.rows import Row, collect
from vlrouting.report.table import render_console, write_comparison

PLOT = "comparison.png"


def compare(experiment_runs: Path, metrics: Sequence[str] | None = None, console: Console | None = None) -> list[Row]:
    """Prints the comparison of `runs/<experiment>/`, writes it there as Markdown, CSV and a plot, and says where.

    Args:
        experiment_runs: the folder of the points' run directories.
        metrics: keys to print, such as `test/vqa_accuracy`; those with a title when not given.
        console: where to print; standard output when not given.

    Raises:
        UserError: there are no runs, or no complete point has such a metric.
    """
    console = console or standard_output()
    rows = collect(experiment_runs)
    render_console(rows, metrics, console)
    written = write_comparison(experiment_runs, rows)
    if any(row.main is not None for row in rows if row.complete):
        # Here, because it takes a second that a table alone need not cost.
        from vlrouting.report.plots import comparison_plot

        written.append(comparison_plot(rows, experiment_runs / PLOT))
    # `print` of rich would break a long path in two, so that nobody can copy it.
    console.print(f"Runs:       {experiment_runs}/<variant>/", soft_wrap=True, markup=False, highlight=False)
    names = ", ".join(path.name for path in written)
    console.print(f"Comparison: {experiment_runs}/  ({names})", soft_wrap=True, markup=False, highlight=False)
    return rows
