"""The comparison at the end of a sweep: on the console and in files next to the run directories."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from rich.console import Console

from vlrouting.experiment.disk import disk_error_text, is_lasting
from vlrouting.report.console import standard_output
from vlrouting.report.console_table import render_console
from vlrouting.report.rows import Row, collect, require_runs
from vlrouting.report.table import write_comparison

PLOT = "comparison.png"


def compare(experiment_runs: Path, metrics: Sequence[str] | None = None, console: Console | None = None) -> list[Row]:
    """Print the comparison of `runs/<experiment>/` and save it there as Markdown, CSV and a plot.

    Args:
        experiment_runs: the folder of the points' run directories.
        metrics: keys to print, such as `test/vqa_accuracy`. Default: the metrics with a title.
        console: where to print. Default: standard output.

    Raises:
        UserError: there are no runs, or no complete point has such a metric.
    """
    console = console or standard_output()
    rows = collect(experiment_runs)
    require_runs(experiment_runs, rows)
    render_console(rows, metrics, console)
    try:
        written = _written(experiment_runs, rows)
    except OSError as error:
        if not is_lasting(error):
            raise
        text = f"The comparison is not written to files: {disk_error_text(error, [experiment_runs])}"
        console.print(text, soft_wrap=True, markup=False, highlight=False)
        return rows
    # `soft_wrap`, because rich would break a long path in two, and users copy it.
    console.print(f"Runs:       {experiment_runs}/<variant>/", soft_wrap=True, markup=False, highlight=False)
    names = ", ".join(path.name for path in written)
    console.print(f"Comparison: {experiment_runs}/  ({names})", soft_wrap=True, markup=False, highlight=False)
    return rows


def _written(experiment_runs: Path, rows: list[Row]) -> list[Path]:
    """Write the comparison; the files."""
    written = write_comparison(experiment_runs, rows)
    if any(row.main is not None for row in rows if row.complete):
        # Imported here, because matplotlib takes a second to load.
        from vlrouting.report.plots import comparison_plot

        written.append(comparison_plot(rows, experiment_runs / PLOT))
    return written
