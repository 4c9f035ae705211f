"""The selectors: a file each with its keys, and its line in the registry."""

from vlrouting.config.selection import SELECTORS
from vlrouting.config.selectors.spt import SptConfig

__all__ = ["SptConfig"]

for _name, _config, _implementation in (("spt", SptConfig, "vlrouting.selection.spt.select:select_by_sensitivity"),):
    SELECTORS.register(_name, _config, _implementation)
