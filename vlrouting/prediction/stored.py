"""What an artifact says of itself, read and checked without torch, and without importing what it names."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from vlrouting.config import TASKS, ExperimentConfig
from vlrouting.config.names import did_you_mean
from vlrouting.experiment import UserError, config_from_dict, import_plugins, require_trust
from vlrouting.prediction.location import CONFIG_FILE, TENSOR_FILE, find_artifact


@dataclass(frozen=True)
class StoredArtifact:
    """An artifact of `vlrouting train`, not loaded yet, as one of its datasets uses it."""

    folder: Path
    point: ExperimentConfig
    """What was trained."""
    dataset: str
    """The one whose prompts and task are used: a name of `datasets`, or `data.name`."""
    images_of: Mapping[str, int]
    """Dataset -> images of one example, as far as the artifact says."""
    is_chosen: bool = False
    """Whether the user named the dataset."""

    @property
    def config(self) -> ExperimentConfig:
        """The point as the dataset has it."""
        return self.point.per_dataset[self.dataset]

    @property
    def images(self) -> int | None:
        """Images of one example; None where an older artifact does not say."""
        return self.images_of.get(self.dataset)

    def of(self, dataset: str) -> StoredArtifact:
        """The same as another of its datasets uses it.

        Raises:
            UserError: it was not trained on such a dataset.
        """
        known = list(self.point.per_dataset)
        if dataset not in known:
            hint = did_you_mean(dataset, known)
            raise UserError(f"{self.folder}: was trained on {', '.join(known)}, not on {dataset!r}.{hint}")
        return replace(self, dataset=dataset, is_chosen=True)

    def for_command(self, command: str) -> StoredArtifact:
        """The same as the first dataset uses it whose task is for a command; where the user has chosen one, as that
        does.

        Raises:
            UserError: the task is for another command, which the text names.
        """
        own = TASKS.facts(self.config.task).command
        if own == command:
            return self
        commands = {name: TASKS.facts(view.task).command for name, view in self.point.per_dataset.items()}
        fitting = [name for name, each in commands.items() if each == command]
        if fitting and not self.is_chosen:
            return replace(self, dataset=fitting[0])
        task = f"task {self.config.task}"
        if self.is_chosen:
            task = f"task {self.config.task} on {self.dataset}"
        raise UserError(f"{self.folder}: was trained for the {task}; use: vlrouting {own} {self.folder}")


def open_artifact(given: str | Path, trust_plugins: bool = False, dataset: str | None = None) -> StoredArtifact:
    """The artifact that a user means (see `find_artifact`), with its configuration checked.

    Args:
        given: its folder, or its run directory.
        trust_plugins: import the modules that it names, which runs their code.
        dataset: which of its datasets is used. Default: the first.

    Raises:
        UserError: there is none, it is damaged, it was not trained on the dataset, or it names plug-ins and they are
            not trusted.
    """
    folder = find_artifact(given)
    for name in (CONFIG_FILE, TENSOR_FILE):
        if not (folder / name).is_file():
            raise UserError(f"{folder / name} is missing; copy the whole artifact again, or train the point again")
    stored = _read(folder / CONFIG_FILE)
    experiment = stored.get("experiment")
    if not isinstance(experiment, dict):
        raise UserError(f"{folder}: holds bottlenecks alone; load it in Python with vlrouting.bottleneck.load")
    plugins = experiment.get("plugins", [])
    if not isinstance(plugins, list) or not all(isinstance(name, str) for name in plugins):
        raise _damaged(folder / CONFIG_FILE, "experiment.plugins is no list of names")
    require_trust(plugins, folder / CONFIG_FILE, trust_plugins)
    import_plugins(plugins)
    point = _config(folder / CONFIG_FILE, experiment)
    names = list(point.per_dataset)
    found = StoredArtifact(folder, point, names[0], _images_of(stored, names))
    return found if dataset is None else found.of(dataset)


def _images_of(stored: Mapping[str, Any], names: Sequence[str]) -> dict[str, int]:
    """Images of an example of each dataset."""
    described = stored.get("datasets")
    each = described if isinstance(described, dict) else {names[0]: stored}
    counts = {name: entry.get("images") for name, entry in each.items() if isinstance(entry, dict)}
    return {name: count for name, count in counts.items() if type(count) is int}


def _read(file: Path) -> dict[str, Any]:
    try:
        stored = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise _damaged(file, str(error) or type(error).__name__) from None
    if not isinstance(stored, dict):
        raise _damaged(file, "expected an object")
    return stored


def _config(file: Path, experiment: Mapping[str, Any]) -> ExperimentConfig:
    try:
        return config_from_dict(experiment)
    except ValueError as error:
        raise _damaged(file, f"experiment: {error}") from None


def _damaged(file: Path, why: str) -> UserError:
    return UserError(f"{file} is damaged ({why}); copy the artifact again, or train the point again")
