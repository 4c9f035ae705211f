"""Tables and plots, made from run directories alone. `plots` is not imported here: matplotlib loads slowly."""

from vlrouting.report.compare import compare
from vlrouting.report.rows import by_setting, collect, metric_keys
from vlrouting.report.table import to_csv, to_markdown, write_comparison

__all__ = ["by_setting", "collect", "compare", "metric_keys", "to_csv", "to_markdown", "write_comparison"]
