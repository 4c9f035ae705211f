"""A cluster file: found by name, read and checked as an experiment is, all errors at once."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from vlrouting.config.cluster import ClusterConfig
from vlrouting.config.limits import shortened
from vlrouting.config.names import did_you_mean
from vlrouting.experiment.compose import CLUSTERS, EXPERIMENTS
from vlrouting.experiment.document import Leaf, read_document
from vlrouting.experiment.errors import Diagnostic, ExperimentErrors, UserError
from vlrouting.experiment.typed import Builder

DEFAULT = "default"


def load_cluster(name: str | None, experiments_dir: Path = EXPERIMENTS) -> ClusterConfig:
    """A cluster of `experiments/cluster/`, or one given as a path that ends in .yaml.

    Without a name `default`, or where there is no such file either, the defaults of every key.

    Raises:
        ExperimentErrors: all errors of the file, each with its line and key.
        UserError: there is no such cluster; the text lists the known ones.
    """
    if name is None:
        if not (experiments_dir / CLUSTERS / f"{DEFAULT}.yaml").is_file():
            return ClusterConfig()
        name = DEFAULT
    document = read_document(_find(name, experiments_dir / CLUSTERS), ClusterConfig)
    # Shell text has `${HOME}` of its own, so nothing is resolved.
    config, failed = Builder(ClusterConfig, resolve=False).build(document.leaves)
    diagnostics = [*document.diagnostics, *failed.values()]
    for key, leaf in document.leaves.items():
        if key == "time" and isinstance(leaf.value, int) and key not in failed:
            diagnostics.append(
                leaf.diagnostic('expected a time limit in quotes, such as "12:00:00"; YAML reads a number')
            )
            config = replace(config, time=None)
    diagnostics += _problems(config, document.leaves, document.file)
    if diagnostics:
        raise ExperimentErrors(diagnostics)
    return config


def _find(name: str, folder: Path) -> Path:
    path = Path(name)
    if path.suffix in (".yaml", ".yml") and os.path.isfile(path):
        return path
    known = sorted(file.stem for file in folder.glob("*.yaml"))
    if name in known:
        return folder / f"{name}.yaml"
    listing = f"Known ones in {folder}/: {', '.join(known)}." if known else f"{folder}/ holds none."
    raise UserError(f"no cluster {shortened(name)!r}.{did_you_mean(name, known)} {listing}")


def _problems(config: ClusterConfig, leaves: dict[str, Leaf], file: str) -> list[Diagnostic]:
    found = []
    for problem in config.problems():
        line = next((leaves[key].line for key in problem.keys if key in leaves), None)
        found.append(Diagnostic(file, ", ".join(problem.keys), problem.message, line, problem.advice))
    return found
