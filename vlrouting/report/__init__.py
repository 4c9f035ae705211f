"""Tables and plots, made from run directories alone. `plots` is not imported here: matplotlib loads slowly."""

from vlrouting.report.compare import compare
from vlrouting.report.comparison import Comparison, Variant, compare_runs

__all__ = ["Comparison", "Variant", "compare", "compare_runs"]
