"""Comparison tables and plots from run directories, and the panel of answers. Imports no torch."""

from __future__ import annotations

from pathlib import Path

from vlrouting.experiment import UserError, write_text_atomic

__all__ = ["compare"]


def compare(folder: Path) -> None:
    """Print the comparison of an experiment's runs, and write it into their folder.

    Writes `comparison.md`, `comparison.csv` and, once a point has a score, `comparison.png`, each whole or not at all.
    Everything comes from the run directories; a point that is not complete is listed and contributes no number.

    Args:
        folder: `runs/<experiment>`.

    Raises:
        UserError: there are no runs, or the files cannot be written (the table is printed before).
    """
    # Here rather than above: a training run imports this package for its panel, and needs no tables.
    from vlrouting.report.closing import closing_words, no_runs
    from vlrouting.report.metric import main_metric
    from vlrouting.report.plot import comparison_plot
    from vlrouting.report.rows import collect
    from vlrouting.report.table import csv_text, markdown_text, print_tables

    rows = collect(folder)
    if not rows:
        raise UserError(no_runs(folder))
    print_tables(rows, folder.name)
    plot = folder / "comparison.png"
    scored = main_metric(rows) is not None
    try:
        write_text_atomic(folder / "comparison.csv", csv_text(rows))
        if scored:
            comparison_plot(rows, plot)
        else:
            plot.unlink(missing_ok=True)  # of runs that are gone
        write_text_atomic(folder / "comparison.md", markdown_text(rows, folder.name, plot.name if scored else None))
    except OSError as error:
        raise UserError(f"the comparison cannot be written to {folder}: {error.strerror or error}") from error
    print(closing_words(rows, folder, scored))
