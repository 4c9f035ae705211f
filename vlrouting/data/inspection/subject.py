"""Which data to look at: those of a dataset by name, or those that an experiment uses."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from vlrouting.config import DATASETS, DataConfig, ExperimentConfig
from vlrouting.config.names import did_you_mean
from vlrouting.data.datasets.presence import missing_files
from vlrouting.data.datasets.recipe_folder import STAMP
from vlrouting.data.datasets.registry import RECIPES, chosen_splits, known_splits
from vlrouting.data.example import DataError
from vlrouting.experiment import Experiment, UserError, import_plugins, load

TRAIN, VALIDATION, TEST = "train", "validation", "test"
_ROLES = {"train": TRAIN, "val": VALIDATION, "dev": VALIDATION, "test": TEST, "challenge": TEST, "submission": TEST}
_ROLE = re.compile("|".join(_ROLES))


@dataclass(frozen=True)
class Subject:
    """Splits that belong together.

    Attributes:
        name: of the dataset or of the experiment; `experiment: dataset` for one of several.
        data: where the files are.
        splits: names of the splits.
        config: the point that uses them, as the dataset has it; None where a dataset is looked at by itself.
        dataset: what one of several of an experiment is called there.
        key_of: where a value of `config` is given.
    """

    name: str
    data: DataConfig
    splits: tuple[str, ...]
    config: ExperimentConfig | None = None
    dataset: str = ""
    key_of: Callable[[str], str] = str

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
    """What a user means by the name of a dataset or of an experiment; several where the points use different data, or a
    point several datasets.

    Args:
        name: a dataset, an experiment, or its file.
        overrides: `key=value`, for an experiment.
        root: folder of the files. Default: `data/<dataset>`, or as the experiment has it.
        splits: names of splits. Default: all that are there, or those that the experiment uses. Of several datasets,
            those that have one of them.

    Raises:
        UserError: there is no such experiment, or it is not valid.
        DataError: there is nothing of the dataset in the folder.
    """
    if name not in DATASETS:
        return _of_experiment(name, overrides, root, splits)
    if overrides:
        raise UserError(f"{name} is a dataset, and {overrides[0]!r} is for an experiment: leave it out")
    return [_of_dataset(name, root or Path("data") / name, splits)]


def of_each_dataset(subjects: Sequence[Subject], dataset: str | None = None) -> list[Subject]:
    """The first subject of every dataset of an experiment, or of the one that is named.

    Raises:
        UserError: there is no such dataset; the text has a did-you-mean.
    """
    known: dict[str, Subject] = {}
    for subject in subjects:
        known.setdefault(subject.dataset, subject)
    if dataset is None:
        return list(known.values())
    if dataset not in known or not dataset:
        names = [name for name in known if name]
        hint = f" The datasets: {', '.join(names)}." if names else " There are not several datasets."
        raise UserError(f"--dataset {dataset}: is none of the experiment.{did_you_mean(dataset, names) or hint}")
    return [known[dataset]]


def _of_experiment(name: str, overrides: Sequence[str], root: Path | None, splits: Sequence[str]) -> list[Subject]:
    experiment = _loaded(name, overrides, root)
    found: dict[str, Subject] = {}
    for point in experiment.points:
        config = point.config
        import_plugins(config.plugins)
        for dataset, view in config.per_dataset.items():
            data, several = view.data, bool(config.datasets)
            key = repr((dataset, replace(data, prompt="", max_text_tokens=3, max_target_tokens=2)))
            if key in found and not view.uses_image:
                continue
            title = f"{experiment.name}: {dataset}" if several else experiment.name
            chosen = tuple(splits) or tuple(chosen_splits(data))
            key_of = partial(config.key_of, dataset)
            found[key] = Subject(title, data, chosen, view, dataset if several else "", key_of)
    return _with_splits(list(found.values()), splits)


def _with_splits(subjects: list[Subject], splits: Sequence[str]) -> list[Subject]:
    """The subjects that have some of the splits, with these; all as they are where none has any, which is an error that
    the reader explains."""
    own = [tuple(split for split in splits if split in known_splits(subject.data)) for subject in subjects]
    if len(subjects) < 2 or not any(own):
        return subjects
    return [replace(subject, splits=known) for subject, known in zip(subjects, own, strict=True) if known]


def _loaded(name: str, overrides: Sequence[str], root: Path | None) -> Experiment:
    """
    Raises:
        UserError: there is no such experiment, it is not valid, or it has several datasets and one root is given.
    """
    try:
        experiment = load(name, overrides)
        several = experiment.points[0].config.datasets
        if root is not None and several:
            first = next(iter(several))
            raise UserError(f"--root {root}: {name} has several datasets; name it of one: datasets.{first}.root={root}")
        return experiment if root is None else load(name, [*overrides, f"data.root={root}"])
    except UserError as error:
        near = did_you_mean(name, DATASETS) if type(error) is UserError else ""
        raise UserError(f"{error}{near}") if near else error from None


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
