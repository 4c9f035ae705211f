"""Reports, made from run directories alone. `plots` is imported when it is needed: it takes matplotlib."""

from vlrouting.report.compare import compare
from vlrouting.report.rows import Group, Measured, Row, by_setting, collect, metric_keys
from vlrouting.report.table import render_console, to_csv, to_markdown, write_comparison

__all__ = [
    "Group",
    "Measured",
    "Row",
    "by_setting",
    "collect",
    "compare",
    "metric_keys",
    "render_console",
    "to_csv",
    "to_markdown",
    "write_comparison",
]
