"""Which official files a user means by the name of a dataset, or of an experiment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from vlrouting.config import DATASETS
from vlrouting.data.example import DataError
from vlrouting.data.fetch.manifest import Manifest, manifest_names, read_manifest
from vlrouting.data.fetch.plan import ALL
from vlrouting.experiment.errors import UserError


@dataclass(frozen=True)
class WantedData:
    """Splits of a dataset, and where its files belong."""

    manifest: Manifest
    root: Path
    splits: tuple[str, ...] = ()
    """Empty: the manifest's default."""


def wanted_data(
    name: str, *, root: Path | None = None, splits: Sequence[str] = (), manifest: Path | None = None
) -> list[WantedData]:
    """One entry for a dataset; for an experiment one for each of its datasets that has official files.

    Args:
        name: a dataset with a manifest, or an experiment.
        root: default: `data/<dataset>`, or as the experiment has it.
        splits: default: the manifest's, or those that the experiment uses.
        manifest: a file in place of the dataset's own manifest.

    Raises:
        DataError: there is no such manifest, or no dataset of the experiment has one.
        UserError: there is no such experiment, or it is not valid.
    """
    if manifest is not None or name in manifest_names():
        found = read_manifest(manifest if manifest is not None else name)
        if found.dataset != name:
            raise UserError(f"{manifest} is the manifest of {found.dataset}, not of {name}")
        return [WantedData(found, root if root is not None else Path("data") / name, tuple(splits))]
    if name in DATASETS:
        read_manifest(name)  # which says that there is none
    return _of_experiment(name, root, splits)


def _of_experiment(name: str, root: Path | None, splits: Sequence[str]) -> list[WantedData]:
    from vlrouting.data.inspection.subject import subjects_of

    known = manifest_names()
    every = [subject for subject in subjects_of(name, (), root, () if ALL in splits else splits)]
    official = [subject for subject in every if subject.data.name in known and subject.data.prepare is None]
    if not official:
        kinds = ", ".join(dict.fromkeys(subject.data.prepare or subject.data.name for subject in every))
        raise DataError(f"{name} has no official files to fetch: its data are those of {kinds}")
    places: dict[tuple[str, str], dict[str, None]] = {}
    for subject in official:
        wanted = places.setdefault((subject.data.name, subject.data.root), {})
        wanted.update(dict.fromkeys((ALL,) if ALL in splits else subject.splits))
    return [
        WantedData(
            manifest := read_manifest(dataset), Path(folder), tuple(s for s in of if s in (*manifest.known_splits, ALL))
        )
        for (dataset, folder), of in places.items()
    ]
