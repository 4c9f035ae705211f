"""The comparison at the end of a sweep: on the console and in files next to the run directories."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from rich.console import Console

from vlrouting.experiment.atomic import write_text_atomic
from vlrouting.experiment.disk import disk_error_text, is_lasting
from vlrouting.report.comparison import Comparison, compare_runs
from vlrouting.report.console import standard_output
from vlrouting.report.console_table import render_console
from vlrouting.report.formats import FORMATS

SEVERAL = "comparisons"
"""Folder, next to those of the experiments, of comparisons of several."""
_LONGEST = 200
"""Characters of a folder's name that is made of several."""


def compare(
    experiments: Sequence[Path],
    *,
    baseline: str | None = None,
    configured: Mapping[str, str | None] | None = None,
    metric: str | None = None,
    mixed: Collection[str] = (),
    output: str = "table",
    console: Console | None = None,
) -> Comparison:
    """Print the comparison of one or several experiments and save it as Markdown, CSV, JSON, LaTeX and a plot.

    The files of one experiment are in its own folder, those of several in `runs/comparisons/<a>+<b>/`.

    Args:
        experiments: `runs/<experiment>/` of each.
        baseline, configured, metric, mixed: as `compare_runs` takes them.
        output: `table`, or a name of `FORMATS`: what is printed, without anything else.
        console: where to print. Default: standard output.

    Raises:
        UserError: there are no runs, or no such variant or metric.
    """
    console = console or standard_output()
    found = compare_runs(experiments, baseline=baseline, configured=configured, metric=metric, mixed=mixed)
    if output == "table":
        render_console(found, console)
    else:
        console.out(FORMATS[output][1](found), end="", highlight=False)
    folder = destination(experiments)
    try:
        written = _written(folder, found)
    except OSError as error:
        if not is_lasting(error):
            raise
        said = [f"The comparison is not written to files: {disk_error_text(error, [folder])}"]
    else:
        names = ", ".join(str(path.relative_to(folder)) for path in written)
        runs = [f"Runs:       {path}/<variant>/" for path in experiments]
        command = f"vlrouting report {' '.join(path.name for path in experiments)}"
        said = [*runs, f"Comparison: {folder}/  ({names})", f"Report:     {command}"]
    if output == "table":
        for line in said:  # `soft_wrap`, because rich would break a long path in two, and users copy it
            console.print(line, soft_wrap=True, markup=False, highlight=False)
    return found


def destination(experiments: Sequence[Path]) -> Path:
    """Where the files of a comparison are."""
    if len(experiments) == 1:
        return experiments[0]
    name = "+".join(path.name for path in experiments)
    if len(name) > _LONGEST:
        name = f"{experiments[0].name}+{len(experiments) - 1}"
    return experiments[0].parent / SEVERAL / name


def _written(folder: Path, found: Comparison) -> list[Path]:
    """Write the comparison; the files."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {folder / name: text(found) for name, text in FORMATS.values()}
    for path, text in texts.items():
        write_text_atomic(path, text)
    written = list(texts)
    if found.complete:
        # Imported here, because matplotlib takes a second to load.
        from vlrouting.report.plots import write_variants

        written += write_variants(found, folder)
    return written
