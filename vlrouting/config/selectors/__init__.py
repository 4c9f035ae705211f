"""The selectors: a file each with its keys, and its line in the registry."""

from vlrouting.config.selection import SELECTORS
from vlrouting.config.selectors.adapeft import AdapeftConfig
from vlrouting.config.selectors.spt import SptConfig

__all__ = ["AdapeftConfig", "SptConfig"]

for _name, _config, _implementation in (
    ("spt", SptConfig, "vlrouting.selection.spt.select:select_by_sensitivity"),
    ("adapeft", AdapeftConfig, "vlrouting.selection.adapeft.selector:adapeft"),
):
    SELECTORS.register(_name, _config, _implementation)
