"""Which data to look at: those of a dataset by name, or those that an experiment uses."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vlrouting.config import DATASETS, DataConfig, ExperimentConfig
from vlrouting.config.names import did_you_mean
from vlrouting.data.datasets.presence import missing_files
from vlrouting.data.datasets.recipe_folder import STAMP
from vlrouting.data.datasets.registry import RECIPES, chosen_splits, known_splits
from vlrouting.data.example import DataError
from vlrouting.experiment import UserError, import_plugins, load

TRAIN, VALIDATION, TEST = "train", "validation", "test"
_ROLES = {"train": TRAIN, "val": VALIDATION, "dev": VALIDATION, "test": TEST, "challenge": TEST, "submission": TEST}
_ROLE = re.compile("|".join(_ROLES))


@dataclass(frozen=True)
class Subject:
    """Splits that belong together.

    Attributes:
        name: of the dataset or of the experiment.
        data: where the files are.
        splits: names of the splits.
        config: the point that uses them; None where a dataset is looked at by itself.
    """

    name: str
    data: DataConfig
    splits: tuple[str, ...]
    config: ExperimentConfig | None = None

    @property
    def uses_image(self) -> bool:
        """Whether images have to be there."""
        return self.config is None or self.config.uses_image

    @property
    def training(self) -> str | None:
        """The split to train on; None where there is none."""
        return next((name for name in self.splits if self.role(name) == TRAIN), None)

    def role(self, split: str) -> str:
        """What a split is for: `train`, `validation` or `test`, as the experiment says or as its name does; empty where
        neither does."""
        if self.config is not None:
            return next((role for role in (TRAIN, VALIDATION, TEST) if getattr(self.data, role) == split), "")
        found = _ROLE.search(split)
        return _ROLES[found[0]] if found is not None else ""


def subjects_of(
    name: str, overrides: Sequence[str] = (), root: Path | None = None, splits: Sequence[str] = ()
) -> list[Subject]:
    """What a user means by the name of a dataset or of an experiment; several where the points use different data.

    Args:
        name: a dataset, an experiment, or its file.
        overrides: `key=value`, for an experiment.
        root: folder of the files. Default: `data/<dataset>`, or as the experiment has it.
        splits: names of splits. Default: all that are there, or those that the experiment uses.

    Raises:
        UserError: there is no such experiment, or it is not valid.
        DataError: there is nothing of the dataset in the folder.
    """
    if name not in DATASETS:
        given = [*overrides, *([f"data.root={root}"] if root is not None else [])]
        return _of_experiment(name, given, splits)
    if overrides:
        raise UserError(f"{name} is a dataset, and {overrides[0]!r} is for an experiment: leave it out")
    return [_of_dataset(name, root or Path("data") / name, splits)]


def _of_experiment(name: str, overrides: Sequence[str], splits: Sequence[str]) -> list[Subject]:
    try:
        experiment = load(name, overrides)
    except UserError as error:
        near = did_you_mean(name, DATASETS) if type(error) is UserError else ""
        raise UserError(f"{error}{near}") if near else error from None
    configs: dict[str, ExperimentConfig] = {}
    for point in experiment.points:
        key = repr(replace(point.config.data, prompt="", max_text_tokens=3, max_target_tokens=2))
        if key not in configs or point.config.uses_image:
            configs[key] = point.config
    for config in configs.values():
        import_plugins(config.plugins)
    return [
        Subject(experiment.name, config.data, tuple(splits) or tuple(chosen_splits(config.data)), config)
        for config in configs.values()
    ]


def _of_dataset(name: str, root: Path, splits: Sequence[str]) -> Subject:
    data = DataConfig(name=name, root=str(root), prepare=_recipe_in(root, name))
    if splits:
        return Subject(name, data, tuple(splits))
    missing = {split: missing_files(data, [split], images=False) for split in known_splits(data)}
    there = tuple(split for split, problems in missing.items() if not problems)
    if not there:
        first = next(problem for problems in missing.values() for problem in problems if problem.keys or root.exists())
        known = ", ".join(missing)
        raise DataError(f"{root} (--root) has the files of no split of {name} ({known}): {first.sentence}")
    return Subject(name, data, there)


def _recipe_in(root: Path, dataset: str) -> str | None:
    """The recipe that has made the files of a folder, as its stamp says; None for files from elsewhere."""
    try:
        made = json.loads((root / STAMP).read_text(encoding="utf-8"))["recipe"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return made if made in RECIPES else None
