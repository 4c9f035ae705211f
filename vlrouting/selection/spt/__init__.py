"""SPT, sensitivity-aware parameter-efficient fine-tuning (arXiv 2303.08566), for both towers."""

from vlrouting.selection.spt.select import select_by_sensitivity

__all__ = ["select_by_sensitivity"]
