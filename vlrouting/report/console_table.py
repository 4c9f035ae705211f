"""The comparison on a console: headings of at most two lines, tables that fit the width."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Literal

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vlrouting.report.comparison import Comparison
from vlrouting.report.console import standard_output
from vlrouting.report.table import Grid, grids, notes

_GAP = 3
"""Characters between two columns: rich's padding and rule; one more is at the edge."""


def render_console(comparison: Comparison, console: Console | None = None) -> None:
    """Print the comparison. A table that is too wide is continued in another one below."""
    console = console or standard_output()
    for grid in grids(comparison):
        for part in _fitting(grid, console.width):
            console.print(_table(part))
    for note in notes(comparison):
        # Not wrapped by rich, because a note may contain a command that users copy.
        console.print(note, soft_wrap=True, markup=False, highlight=False)
    console.print()


def _table(grid: Grid) -> Table:
    table = Table(title=grid.title, title_justify="left", box=SIMPLE_HEAD)
    for column, name in enumerate(grid.header):
        heading = "\n".join(grid.heading(column))
        justify: Literal["left", "right"] = "left" if name in grid.text_columns else "right"
        table.add_column(heading, justify=justify, overflow="fold")
    for line in grid.lines:
        # Text, not str: rich would parse a reference such as [1] as markup.
        table.add_row(*(Text(cell.text, style="bold" if cell.best else "") for cell in line))
    return table


def _fitting(grid: Grid, width: int) -> Iterator[Grid]:
    """The table, or its columns in several tables that fit, each with the variants."""
    if _width(grid) <= width:
        yield grid
        return
    first, *waiting = range(len(grid.header))
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


def _width(grid: Grid) -> int:
    return sum(grid.column_width(column) + _GAP for column in range(len(grid.header))) + 1
