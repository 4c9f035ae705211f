"""`vlrouting report`: one HTML file about the runs of an experiment, or of several side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from vlrouting.report.compare import destination
from vlrouting.report.comparison import compare_runs
from vlrouting.report.html.data import data_uses
from vlrouting.report.html.page import EXAMPLES, FILE, write_page
from vlrouting.report.plots import draw, write
from vlrouting.report.trials import tuning_of

__all__ = ["EXAMPLES", "report_runs"]


def report_runs(
    experiments: Sequence[Path],
    *,
    baseline: str | None = None,
    configured: Mapping[str, str | None] | None = None,
    out: Path | None = None,
    examples: int = EXAMPLES,
) -> list[Path]:
    """Compare runs and write the report, and the plots as PNG and PDF to `plots` beside the runs.

    Args:
        experiments: `runs/<experiment>/` of each.
        baseline, configured: as `compare_runs` takes them.
        out: the HTML file. Default: `report.html` beside the runs of one experiment; of several,
            `runs/comparisons/<a>+<b>/report.html`.
        examples: most test examples to show.

    Returns:
        The HTML file and those of the plots.

    Raises:
        UserError: there are no runs, or no such baseline.
        OSError: a file cannot be written.
    """
    found = compare_runs(experiments, baseline=baseline, configured=configured)
    beside = destination(experiments)
    tunings = {variant.label: tuning for variant in found.variants if (tuning := tuning_of(variant))}
    plots = draw(found, tunings)
    data, notes = data_uses(found.variants)
    page = out or beside / FILE
    write_page(found, page, plots=plots, tunings=tunings, data=data, data_notes=notes, examples=examples)
    return [page, *write([*plots, *(plot for use in data for plot in use.plots)], beside)]
