"""The comparison on a console: headings of at most two lines, and what they stand for below."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vlrouting.report.console import standard_output
from vlrouting.report.rows import Row
from vlrouting.report.table import PARAMETERS, TIME, Grid, grids

HEADING_LINES = 2
_GAP = 3
"""Characters between two columns: rich's padding and rule; one more is at the edge."""


def render_console(rows: Sequence[Row], metrics: Sequence[str] | None = None, console: Console | None = None) -> None:
    """Print the comparison; `metrics` as in `grids`. A table that is too wide is continued in another one below."""
    console = console or standard_output()
    legend: dict[str, None] = {}
    for whole in grids(rows, metrics):
        grid, long_titles = _with_short_titles(whole)
        legend |= dict.fromkeys(long_titles)
        for part in _fitting(grid, console.width):
            console.print(_table(part))
        for note in grid.numbered_notes:
            # Not wrapped by rich, because a note may contain a command that users copy.
            console.print(note, soft_wrap=True, markup=False, highlight=False)
        if grid.notes:
            console.print()
    for title in legend:
        console.print(f"Metric:     {title}", soft_wrap=True, markup=False, highlight=False)


def _table(grid: Grid) -> Table:
    table = Table(title=grid.title, title_justify="left", box=SIMPLE_HEAD)
    for column, name in enumerate(grid.header):
        heading = textwrap.fill(name, _column_width(grid, column), break_on_hyphens=False)
        justify: Literal["left", "right"] = "left" if name in grid.text_columns else "right"
        table.add_column(heading, justify=justify, overflow="fold")
    for line in grid.lines:
        # Text, not str: rich would parse a reference such as [1] as markup.
        table.add_row(*(Text(cell.text, style="bold" if cell.best else "") for cell in line))
    return table


def _with_short_titles(grid: Grid) -> tuple[Grid, list[str]]:
    """`VQA accuracy` for `VQA accuracy (official evaluation code, 2021 variant)`, and the long titles; a title that
    would be another's stays as it is."""
    short = [re.split(r" \(|, ", name)[0] for name in grid.header]
    header = [name if short.count(cut) > 1 else cut for name, cut in zip(grid.header, short, strict=True)]
    long = [name for name, cut in zip(grid.header, header, strict=True) if name != cut]
    return replace(grid, header=header), long


def _fitting(grid: Grid, width: int) -> Iterator[Grid]:
    """The table, or its columns in several tables that fit, each with the variants, the scores in the first ones."""
    if _width(grid) <= width:
        yield grid
        return
    first, *others = range(len(grid.header))
    waiting = sorted(others, key=lambda column: grid.header[column] in (PARAMETERS, TIME))
    title = grid.title
    while waiting:
        chosen = [first, waiting.pop(0)]
        while waiting and _width(_columns(grid, [*chosen, waiting[0]])) <= width:
            chosen.append(waiting.pop(0))
        yield replace(_columns(grid, chosen), title=title)
        title = f"{grid.title}, continued"


def _columns(grid: Grid, columns: Sequence[int]) -> Grid:
    lines = [[line[column] for column in columns] for line in grid.lines]
    return replace(grid, header=[grid.header[column] for column in columns], lines=lines)


def _column_width(grid: Grid, column: int) -> int:
    """Of the values, of the heading's longest word, or more where the heading would have too many lines."""
    name = grid.header[column]
    width = max([len(word) for word in name.split()] + [len(line[column].text) for line in grid.lines])
    while len(textwrap.wrap(name, width, break_on_hyphens=False)) > HEADING_LINES:
        width += 1
    return width


def _width(grid: Grid) -> int:
    return sum(_column_width(grid, column) + _GAP for column in range(len(grid.header))) + 1
