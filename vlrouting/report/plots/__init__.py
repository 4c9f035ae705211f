"""The plots of a comparison, each in a file of its own here; and their files. Imports matplotlib, which is slow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg

from vlrouting.experiment.atomic import atomically
from vlrouting.report.comparison import Comparison
from vlrouting.report.learning_curves import LOSS, learning_curves
from vlrouting.report.plots.cost import cost
from vlrouting.report.plots.curves import curves
from vlrouting.report.plots.differences import differences
from vlrouting.report.plots.learning_rate import learning_rate
from vlrouting.report.plots.plot import Plot
from vlrouting.report.plots.style import DPI, styled
from vlrouting.report.plots.variants import variants
from vlrouting.report.trials import Tuning

__all__ = ["Plot", "arranged", "draw", "write", "write_variants"]

FOLDER = "plots"
"""Of the files, beside the runs."""


def draw(comparison: Comparison, tunings: Mapping[str, Tuning]) -> list[Plot]:
    """All plots; one that lacks its data has no figure and says what is missing.

    Args:
        comparison: the variants.
        tunings: variant's label -> its tuning runs.
    """
    scores = [comparison.metric, *comparison.datasets.values()] if comparison.metric else []
    tags = [LOSS, *(key.replace("test/", "validation/", 1) for key in scores)]
    found = learning_curves(comparison.variants, tags)
    with styled():
        first = [variants(comparison), differences(comparison), learning_rate(tunings)]
        return list(map(arranged, [*first, *curves(found), *cost(comparison)]))


def write_variants(comparison: Comparison, beside: Path) -> list[Path]:
    """Draw and write the first plot alone, which takes a second and not ten."""
    with styled():
        plot = arranged(variants(comparison))
    return write([plot], beside)


def arranged(plot: Plot) -> Plot:
    """Place everything in the figure now, not for each format again, which takes most of the time."""
    if plot.figure is not None:
        for _ in range(2):  # the space for names beside the axes depends on the size of the axes
            plot.figure.draw_without_rendering()
        plot.figure.set_layout_engine("none")
    return plot


def write(plots: Iterable[Plot], beside: Path) -> list[Path]:
    """Write each plot as PNG and PDF to the folder `plots` in `beside`."""
    written = []
    with styled():
        for plot in plots:
            if plot.figure is None:
                continue
            FigureCanvasAgg(plot.figure)
            for suffix, options in (("png", {"dpi": DPI}), ("pdf", {"metadata": {"CreationDate": None}})):
                path = beside / FOLDER / f"{plot.name}.{suffix}"
                with atomically(path) as temporary:
                    plot.figure.savefig(temporary, format=suffix, **options)  # type: ignore[arg-type]
                written.append(path)
    return written
