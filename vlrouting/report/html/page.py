"""The report: one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from vlrouting.experiment.atomic import write_text_atomic
from vlrouting.report.comparison import Comparison
from vlrouting.report.html.data import DataUse
from vlrouting.report.html.examples import browser
from vlrouting.report.html.figures import inline_svg
from vlrouting.report.html.routing import NUMBERS, routing_analyses
from vlrouting.report.html.settings import environment, settings
from vlrouting.report.html.variant_table import columns
from vlrouting.report.plots import Plot
from vlrouting.report.plots.style import LABEL_WIDTH
from vlrouting.report.trials import Tuning

FILE = "report.html"
EXAMPLES = 300
"""Test examples in the browser, unless said otherwise."""
MOST_CHARACTERS = 12_000_000
"""Of all test examples with their thumbnails: a report stays below 15 MB, which a phone opens."""


@dataclass(frozen=True)
class _Figure:
    """A plot in the page; `svg` is None where it has no data."""

    name: str
    title: str
    text: str
    svg: Markup | None


def write_page(
    comparison: Comparison,
    path: Path,
    *,
    plots: Sequence[Plot],
    tunings: Mapping[str, Tuning],
    data: Sequence[DataUse] = (),
    data_notes: Sequence[str] = (),
    examples: int = EXAMPLES,
) -> None:
    """Write the HTML file.

    Args:
        comparison: the variants.
        path: of the file.
        plots: of the comparison.
        tunings: variant's label -> its tuning runs.
        data: that the runs have used.
        data_notes: what could not be read of them.
        examples: most test examples in its browser.

    Raises:
        OSError: it cannot be written; an earlier one stays.
    """
    analyses, notes = routing_analyses(comparison.variants)
    templates = Environment(
        loader=PackageLoader("vlrouting.report", "html"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {"figure": _figure_text, "breakable": _breakable}
    script = _source(templates, "report.js")
    table = columns(comparison)
    page = templates.get_template("report.html.j2").render(
        comparison=comparison,
        title=" and ".join(comparison.experiments),
        columns=table,
        rows=list(zip(*(column.cells for column in table), strict=True)),
        unfinished=[row for variant in comparison.variants for row in variant.unfinished],
        figures=_figures(plots),
        tunings=tunings,
        data=[(use, _figures(use.plots)) for use in data],
        data_notes=data_notes,
        settings=settings(comparison.variants),
        environment=environment(comparison.variants),
        analyses=analyses,
        analysis_notes=notes,
        analysis_columns=list(NUMBERS.values()),
        browser=browser(comparison.variants, examples, MOST_CHARACTERS),
        style=_source(templates, "report.css"),
        script=script,
        script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        made=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        version=version("vlrouting"),
    )
    write_text_atomic(path, page)


def _source(templates: Environment, name: str) -> Markup:
    """A file of this package, which needs no escaping."""
    assert templates.loader is not None
    return Markup(templates.loader.get_source(templates, name)[0])


def _figure_text(value: float | None) -> str:
    """Three digits, or a dash for what is not defined."""
    return "\N{EN DASH}" if value is None else f"{value:.3g}"


def _breakable(name: str) -> Markup:
    """A long name may be broken between its keys."""
    if len(name) <= LABEL_WIDTH:
        return escape(name)
    return escape(name).replace(",", Markup(",<wbr>")).replace("=", Markup("=<wbr>"))


def _figures(plots: Sequence[Plot]) -> list[_Figure]:
    return [
        _Figure(
            plot.name,
            plot.title,
            plot.text,
            None if plot.figure is None else Markup(inline_svg(plot.figure, plot.name, f"{plot.title}. {plot.text}")),
        )
        for plot in plots
    ]
