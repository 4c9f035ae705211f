"""The parameters of an experiment's variants as a table, as CSV or as JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vlrouting.parameters.counts import ParameterCounts
from vlrouting.parameters.variants import VariantParameters
from vlrouting.report.console import standard_output

_BOTTLENECKS, _TRAINABLE, _TOTAL, _PERCENT = "bottlenecks", "trainable", "all", "percent"


def print_table(variants: Sequence[VariantParameters], console: Console | None = None) -> None:
    """Print a row per variant, below it the bottlenecks of each by place, and what was assumed."""
    console = console or standard_output()
    rows = [_row(variant.counts) for variant in variants]
    table = Table(box=SIMPLE_HEAD)
    table.add_column("variant", overflow="fold")
    columns = _columns(rows)
    for column in columns:
        table.add_column(column, justify="right", overflow="fold")
    for variant, row in zip(variants, rows, strict=True):
        table.add_row(Text(variant.name), *(_shown(column, row.get(column, 0)) for column in columns))
    console.print(table)
    for variant in variants:
        for place, number in variant.counts.bottlenecks.items():
            console.print(f"{variant.name}: {place}  {number:,}", soft_wrap=True, markup=False, highlight=False)
        for note in variant.notes:
            console.print(f"{variant.name}: {note}", soft_wrap=True, markup=False, highlight=False)


def as_json(variants: Sequence[VariantParameters]) -> str:
    """A list with an object per variant."""
    records = [
        {
            "variant": variant.name,
            "bottlenecks": variant.counts.bottlenecks,
            "unfrozen": variant.counts.unfrozen,
            **variant.counts.others,
            "trainable": variant.counts.trainable,
            "all": variant.counts.total,
            "percent": variant.counts.percent,
            "notes": list(variant.notes),
        }
        for variant in variants
    ]
    return json.dumps(records, indent=2)


def as_csv(variants: Sequence[VariantParameters]) -> str:
    """A line per variant, with the columns of the table."""
    rows = [_row(variant.counts) for variant in variants]
    columns = _columns(rows)
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["variant", *columns])
    for variant, row in zip(variants, rows, strict=True):
        writer.writerow([variant.name, *(row.get(column, 0) for column in columns)])
    return text.getvalue().rstrip("\n")


def _row(counts: ParameterCounts) -> dict[str, Any]:
    parts = {_BOTTLENECKS: sum(counts.bottlenecks.values()), **counts.unfrozen, **counts.others}
    return {**parts, _TRAINABLE: counts.trainable, _TOTAL: counts.total, _PERCENT: round(counts.percent, 4)}


def _columns(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The parts that some variant has, and the sums."""
    sums = [_TRAINABLE, _TOTAL, _PERCENT]
    parts = dict.fromkeys(column for row in rows for column, number in row.items() if number and column not in sums)
    return [*parts, *sums]


def _shown(column: str, number: float) -> str:
    return f"{number:.2f}" if column == _PERCENT else f"{number:,}"
