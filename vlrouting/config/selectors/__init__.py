"""The selectors: a file each with its keys, and its line in the registry."""

from vlrouting.config.selection import SELECTORS
from vlrouting.config.selectors.adapeft import AdapeftConfig

__all__ = ["AdapeftConfig"]

for _name, _config, _implementation in (("adapeft", AdapeftConfig, "vlrouting.selection.adapeft.selector:adapeft"),):
    SELECTORS.register(_name, _config, _implementation)
