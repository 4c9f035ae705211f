"""What a user wants of a dataset, what of it is there, and where the rest comes from."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from vlrouting.config.names import did_you_mean, listed
from vlrouting.data.example import DataError
from vlrouting.data.fetch.manifest import WORK, Manifest, Source
from vlrouting.experiment.disk import nearest

ALL = "all"
"""Stands for every split."""
ARCHIVES = "archives"
"""Folder below the data root of archives that are kept."""


@dataclass(frozen=True)
class Request:
    """What a user asks for."""

    manifest: Manifest
    root: Path
    splits: tuple[str, ...] = ()
    """Empty: the manifest's default."""
    only: str | None = None
    """A kind of file."""
    files: tuple[str, ...] = ()
    """Paths below the root, in place of splits."""
    from_dir: Path | None = None
    """A folder with archives."""
    mirror: str | None = None
    """URL of a folder with the archives."""
    keep_archives: bool = False


@dataclass(frozen=True)
class Item:
    """A source that is wanted."""

    source: Source
    missing: tuple[str, ...]
    """What it provides that is wanted and not there: paths below the root."""
    there: tuple[str, ...]
    local: Path | None
    """The file, if the user has it."""
    urls: tuple[str, ...]

    @property
    def must_be_asked_for(self) -> bool:
        """Whether something is missing that this program cannot get."""
        return bool(self.missing) and self.local is None and not self.urls


def plan(request: Request) -> list[Item]:
    """The wanted sources, annotations first.

    Raises:
        DataError: a split or file is not known, or something in the root is in the way.
    """
    wanted = _wanted(request)
    if request.from_dir is not None and not request.from_dir.is_dir():
        raise DataError(f"{request.from_dir}: no such folder; name the one with the archives")
    items: list[Item] = []
    for source in sorted(request.manifest.sources, key=lambda source: source.kind):
        paths = [path for path in source.provides if path in wanted]
        if paths:
            missing = tuple(path for path in paths if not _is_there(request.root, path))
            there = tuple(path for path in paths if path not in missing)
            items.append(Item(source, missing, there, _local(request, source), _urls(request, source)))
    incomplete = [item for item in items if item.missing]
    if request.from_dir is not None and incomplete and not any(item.local for item in incomplete):
        names = listed([item.source.file for item in incomplete])
        raise DataError(
            f"{request.from_dir} has none of {names}; name the folder with the archives, as they are called"
        )
    return items


def _wanted(request: Request) -> set[str]:
    """Paths below the root."""
    manifest = request.manifest
    provided = {path: source for source in manifest.sources for path in source.provides}
    for file in request.files:
        if file not in provided:
            raise DataError(
                f"'{file}' is not among the files of {manifest.name}: {listed(provided, len(provided))}."
                f"{did_you_mean(file, provided)}"
            )
    known = (*manifest.known_splits, ALL)
    for split in request.splits:
        if split not in known:
            raise DataError(
                f"'{split}' is not a split of {manifest.name}: {listed(known, len(known))}.{did_you_mean(split, known)}"
            )
    splits = set(request.splits or manifest.default)
    chosen = {path for path, source in provided.items() if ALL in splits or splits & set(source.provides[path])}
    chosen = set(request.files) if request.files else chosen
    return {path for path in chosen if request.only in (None, provided[path].kind)}


def _is_there(root: Path, path: str) -> bool:
    """Whether a file or folder exists. What this program puts there is complete; an empty folder is nobody's data.

    Raises:
        DataError: it cannot be put there.
    """
    target = root / path
    if target.is_file() or (target.is_dir() and any(target.iterdir())):
        return True
    if target.is_symlink():
        what = "an empty folder" if target.exists() else "nothing"
        raise DataError(f"{target} is a link to {os.readlink(target)}, which is {what}; correct or remove the link")
    real_root, real_parent = os.path.realpath(root), os.path.realpath(target.parent)
    if os.path.commonpath([real_root, real_parent]) != real_root:
        raise DataError(
            f"{target.parent} is a link out of {root}; put {target.name} there yourself, or remove the link"
        )
    above = nearest(target.parent)
    if not above.is_dir():
        raise DataError(f"{above} is a file, and is to be a folder; move it away")
    return False


def _local(request: Request, source: Source) -> Path | None:
    folders = [request.root / ARCHIVES] if request.from_dir is None else [request.from_dir, request.root / ARCHIVES]
    return next((folder / source.file for folder in folders if (folder / source.file).is_file()), None)


def _urls(request: Request, source: Source) -> tuple[str, ...]:
    own = (f"{request.mirror.rstrip('/')}/{source.file}",) if request.mirror is not None else ()
    return (*own, *((source.url,) if source.url is not None else ()), *source.mirrors)


def work_folder(root: Path, source: Source) -> Path:
    """Where what is not complete yet is kept."""
    return root / WORK / "unfinished" / source.file
