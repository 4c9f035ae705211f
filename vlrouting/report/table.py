"""The comparison table of an experiment's points, in Markdown and in CSV; `console_table` prints it."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vlrouting.config.names import did_you_mean
from vlrouting.experiment.atomic import write_text_atomic
from vlrouting.experiment.errors import UserError
from vlrouting.report.rows import Group, Measured, Row, by_setting, has_seeds, metric_keys, titled_keys

MARKDOWN = "comparison.md"
CSV = "comparison.csv"
PARAMETERS, TIME = "trainable parameters", "training time"


@dataclass(frozen=True)
class Cell:
    """One cell of a table."""

    text: str
    best: bool = False


@dataclass(frozen=True)
class Grid:
    """A table before rendering. All columns hold numbers, except `text_columns`."""

    title: str
    header: list[str]
    lines: list[list[Cell]]
    notes: tuple[str, ...] = ()
    """Long texts, printed below the table. A cell refers to note n as [n], counted from 1."""
    text_columns: frozenset[str] = frozenset({"variant", "metric", "status"})

    @property
    def numbered_notes(self) -> list[str]:
        """`[1] METEOR not computed: …`"""
        return [f"[{number}] {note}" for number, note in enumerate(self.notes, start=1)]


def to_markdown(rows: Sequence[Row], metrics: Sequence[str] | None = None) -> str:
    """The comparison as Markdown tables with aligned columns, the best value bold; `metrics` as in `grids`."""
    return "\n".join(_markdown(grid) for grid in grids(rows, metrics))


def to_csv(rows: Sequence[Row]) -> str:
    """One line per point, in full precision, with every `test/<name>`; incomplete points have no numbers."""
    keys = metric_keys(rows)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    fixed = ["variant", "status", "reason", "seed", "trainable_parameters", "total_parameters", "seconds", "metric"]
    writer.writerow([*fixed, *keys])
    for row in rows:
        counts = [row.seed, row.trainable_parameters, row.total_parameters, row.seconds]
        values = [row.metrics.get(key) if row.complete else None for key in keys]
        writer.writerow([row.variant, row.status, row.reason, *counts, row.metric_name, *values])
    return out.getvalue()


def write_comparison(experiment_runs: Path, rows: Sequence[Row]) -> list[Path]:
    """Write comparison.md and comparison.csv next to the run directories and return their paths."""
    texts = {experiment_runs / MARKDOWN: to_markdown(rows), experiment_runs / CSV: to_csv(rows)}
    for path, text in texts.items():
        write_text_atomic(path, text)
    return list(texts)


def grids(rows: Sequence[Row], metrics: Sequence[str] | None = None) -> list[Grid]:
    """The table of all points and, if there are several seeds, the table of means over seeds.

    Args:
        rows: result of `collect`.
        metrics: keys to show, such as `test/vqa_accuracy`. Default: the metrics with a title.

    Raises:
        UserError: no complete point has such a metric.
    """
    shown = _shown(rows, metrics)
    tables = [_points(rows, shown)]
    if has_seeds(rows):
        tables.append(_means(by_setting(rows), shown))
    return tables


def _shown(rows: Sequence[Row], metrics: Sequence[str] | None) -> list[str]:
    known = metric_keys(rows)
    for key in metrics or ():
        if key not in known:
            raise UserError(f"no metric '{key}'.{did_you_mean(key, known)} Known: {', '.join(known) or 'none yet'}.")
    return list(metrics) if metrics else titled_keys(rows)


def _metric_titles(rows: Sequence[Row], shown: Sequence[str]) -> tuple[list[str], bool]:
    """Column titles, and whether rows disagree on one, so that a column must name each row's metric."""
    names: dict[str, set[str]] = {}
    for row in rows:
        for key, title in row.titles.items() if row.complete else ():
            names.setdefault(key, set()).add(title)
    agreed = {key: next(iter(found)) for key, found in names.items() if len(found) == 1}
    return [agreed.get(key, key) for key in shown], len(agreed) < len(names)


def _points(rows: Sequence[Row], shown: Sequence[str]) -> Grid:
    titles, mixed = _metric_titles(rows, shown)
    header = ["variant", PARAMETERS, *titles, *(["metric"] if mixed else []), TIME, "status"]
    # Numbers of different evaluation variants cannot be compared: none is marked as the best.
    compared = [] if mixed else titled_keys(rows)
    best = {key: _best([row.metrics.get(key) for row in rows if row.complete]) for key in compared}
    lines = []
    notes: dict[str, int] = {}  # points often share a reason
    for row in rows:
        reason = " ".join(row.reason.split())
        status = f"{row.status} [{notes.setdefault(reason, len(notes) + 1)}]" if reason else row.status
        values = [_metric_cell(row.metrics.get(key), best.get(key)) for key in shown]
        lines.append(
            [
                Cell(row.variant),
                Cell(_parameters(row)),
                *values,
                *([Cell(row.metric_name)] if mixed else []),
                Cell(_duration(row.seconds)),
                Cell(status),
            ]
        )
    return Grid("Points", header, lines, tuple(notes))


def _means(groups: Sequence[Group], shown: Sequence[str]) -> Grid:
    titles, mixed = _metric_titles([row for group in groups for row in group.rows], shown)
    header = ["variant", "seeds", PARAMETERS, *titles, TIME]
    compared = [] if mixed else titled_keys([row for group in groups for row in group.rows])
    means = {key: [group.measured(key) for group in groups] for key in compared}
    best = {key: _best([found.mean for found in means[key] if found]) for key in compared}
    lines = []
    for group in groups:
        first = group.rows[0]
        seconds = group.seconds()
        values = [_mean_cell(group.measured(key), best.get(key)) for key in shown]
        parameters = Cell(_parameters(first))
        time = Cell(_duration(seconds.mean if seconds else None))
        lines.append([Cell(group.variant), Cell(str(len(group.rows))), parameters, *values, time])
    return Grid("Mean ± sample standard deviation over the seeds", header, lines)


def _best(values: Sequence[float | None]) -> str | None:
    """The best value as printed, so that all equal values are bold; None if there are fewer than two values."""
    present = [value for value in values if value is not None]
    return f"{max(present):.2f}" if len(present) > 1 else None


def _metric_cell(value: float | None, best: str | None) -> Cell:
    text = "" if value is None else f"{value:.2f}"
    return Cell(text, best=bool(text) and text == best)


def _mean_cell(value: Measured | None, best: str | None) -> Cell:
    if value is None:
        return Cell("")
    return Cell(str(value), best=f"{value.mean:.2f}" == best)


def _parameters(row: Row) -> str:
    trainable, total = row.trainable_parameters, row.total_parameters
    if trainable is None:
        return ""
    return f"{trainable:,} ({100 * trainable / total:.2f}%)" if total else f"{trainable:,}"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    whole = round(seconds)
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def _markdown(grid: Grid) -> str:
    lines = [
        [f"**{cell.text}**" if cell.best else cell.text.replace("|", "\\|") for cell in line] for line in grid.lines
    ]
    header = [name.replace("|", "\\|") for name in grid.header]
    widths = [max(3, *(len(line[column]) for line in [header, *lines])) for column in range(len(header))]
    left = [name in grid.text_columns for name in grid.header]

    def drawn(cells: list[str]) -> str:
        padded = [c.ljust(w) if is_left else c.rjust(w) for c, w, is_left in zip(cells, widths, left, strict=True)]
        return f"| {' | '.join(padded)} |"

    rule = ["-" * width if is_left else "-" * (width - 1) + ":" for width, is_left in zip(widths, left, strict=True)]
    table = [f"**{grid.title}**", "", drawn(header), drawn(rule), *map(drawn, lines)]
    notes = [line for note in grid.numbered_notes for line in ("", note)]  # blank lines keep them apart
    return "\n".join([*table, *notes]) + "\n"
