"""What an artifact says of itself, read and checked without torch, and without importing what it names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vlrouting.config import TASKS, ExperimentConfig
from vlrouting.experiment import UserError, config_from_dict, import_plugins, require_trust
from vlrouting.prediction.location import CONFIG_FILE, TENSOR_FILE, find_artifact


@dataclass(frozen=True)
class StoredArtifact:
    """An artifact of `vlrouting train`, not loaded yet."""

    folder: Path
    config: ExperimentConfig
    images: int | None
    """Images of one example; None where an older artifact does not say."""

    def require_command(self, command: str) -> None:
        """
        Raises:
            UserError: the artifact is for another command, which the text names.
        """
        of_task = TASKS.facts(self.config.task).command
        if of_task != command:
            raise UserError(
                f"{self.folder}: was trained for the task {self.config.task}; use: vlrouting {of_task} {self.folder}"
            )


def open_artifact(given: str | Path, trust_plugins: bool = False) -> StoredArtifact:
    """The artifact that a user means (see `find_artifact`), with its configuration checked.

    Args:
        given: its folder, or its run directory.
        trust_plugins: import the modules that it names, which runs their code.

    Raises:
        UserError: there is none, it is damaged, or it names plug-ins and they are not trusted.
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
    images = stored.get("images")
    return StoredArtifact(folder, _config(folder / CONFIG_FILE, experiment), images if type(images) is int else None)


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
