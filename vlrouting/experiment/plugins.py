"""The user's own modules, imported for what they register; those of a stranger's file only where the user says so."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from importlib.machinery import PathFinder
from pathlib import Path

from vlrouting.experiment.errors import UserError

STORED_CONFIG = "config.yaml"
"""Name of the file that a run directory keeps."""


def require_trust(plugins: Sequence[str], source: Path, trusted: bool) -> None:
    """Before the plug-ins of a file are imported that somebody else may have written: an artifact, a run directory.

    Raises:
        UserError: there are some, and the user has not said that they may run.
    """
    if plugins and not trusted:
        raise UserError(
            f"{source} names plug-ins: {', '.join(map(repr, plugins))}. To import them is to run their code, so it is "
            "not done. If you know these modules and trust them, add --trust-plugins (in Python: trust_plugins=True)"
        )


def refuse_stored_plugins(plugins: Sequence[str], config: Path) -> None:
    """The config.yaml of a run directory may come from somebody else, and is used like an experiment's file.

    Raises:
        UserError: it names plug-ins.
    """
    if plugins:
        raise UserError(
            f"{config} names plug-ins: {', '.join(map(repr, plugins))}. To import them is to run their code, so it is "
            "not done for the file of a run directory. If you know these modules and trust them, copy the file into "
            "experiments/ under a name of its own, and use that (in Python: load(…, trust_plugins=True))"
        )


def import_plugins(plugins: Sequence[str]) -> None:
    """Imports modules by name, from the current directory too.

    Raises:
        UserError: a module cannot be imported; the text names it and the reason.
    """
    here = str(Path.cwd())
    if plugins and not {here, ""} & set(sys.path):
        # A console script starts with its own folder on the path, not with the user's. It comes last, so that no file
        # in the current directory takes the place of a library's module.
        sys.path.append(here)
    for plugin in plugins:
        _refuse_hidden(plugin)
        try:
            importlib.import_module(plugin)
        except (Exception, SystemExit) as error:  # a user's module may raise anything, a script even ends the process
            raise UserError(f"'{plugin}' cannot be imported: {type(error).__name__}: {error}") from error


def is_there(plugin: str) -> bool:
    """Whether a module's top-level package can be found, without importing anything."""
    top = plugin.partition(".")[0]
    if top in sys.modules or _in_current_directory(top) is not None:
        return True
    # Asks every finder: a package that is installed in editable mode is not on any path.
    return bool(top) and importlib.util.find_spec(top) is not None


def _refuse_hidden(plugin: str) -> None:
    """A plug-in in the current directory must not be mistaken for an installed module of its name."""
    top = plugin.partition(".")[0]
    own = _in_current_directory(top)
    if own is None or own.origin is None or top in sys.modules:
        return
    found = importlib.util.find_spec(top)
    if found is not None and found.origin and not Path(found.origin).samefile(own.origin):
        raise UserError(f"'{plugin}': {own.origin} has the name of the module {found.origin}; rename it")


def _in_current_directory(top: str) -> importlib.machinery.ModuleSpec | None:
    return PathFinder.find_spec(top, [str(Path.cwd())]) if top else None
