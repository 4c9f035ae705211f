"""The user's own modules, imported for what they register."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.machinery import PathFinder
from pathlib import Path

from vlrouting.experiment.errors import UserError


def import_plugins(plugins: Sequence[str]) -> None:
    """Imports modules by name, from the current directory too.

    Raises:
        UserError: a module cannot be imported; the text names it and the reason.
    """
    here = str(Path.cwd())
    if here not in sys.path:
        # A console script starts with its own folder on the path, not with the user's.
        sys.path.insert(0, here)
    for plugin in plugins:
        try:
            importlib.import_module(plugin)
        except (Exception, SystemExit) as error:  # a user's module may raise anything, a script even ends the process
            raise UserError(f"'{plugin}' cannot be imported: {type(error).__name__}: {error}") from error


def is_there(plugin: str) -> bool:
    """Whether a module's top-level package can be found, without importing anything."""
    top = plugin.partition(".")[0]
    if top in sys.modules or PathFinder.find_spec(top, [str(Path.cwd())]) is not None:
        return True
    # Asks every finder: a package that is installed in editable mode is not on any path.
    return bool(top) and importlib.util.find_spec(top) is not None
