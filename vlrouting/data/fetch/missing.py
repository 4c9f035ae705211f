"""Which command fetches an official file that is missing."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path

from vlrouting.config import Problem
from vlrouting.data.fetch.manifest import Manifest, Source, manifest_names, read_manifest


def absent(dataset: str, root: Path, files: Mapping[str, str], depends_on: tuple[str, ...] = ()) -> list[Problem]:
    """A problem, with the command that fetches it, for each file that does not exist.

    Args:
        dataset: name of its manifest.
        root: folder of the files.
        files: path below root -> the configuration key that names it.
        depends_on: see `Problem`.
    """
    return [
        Problem((key,), f"{root / relative} is missing", how_to_fetch(dataset, root, relative), depends_on=depends_on)
        for relative, key in files.items()
        if not os.path.exists(root / relative)  # unlike Path.exists, also for what is no name of a file
    ]


def how_to_fetch(dataset: str, root: Path, relative: str) -> str:
    """The command that fetches `root / relative`, or a hint if the manifest does not list the file."""
    if dataset not in manifest_names():  # the dataset of a plug-in
        return "put it there, or correct the path in the experiment"
    manifest = read_manifest(dataset)
    source = manifest.source_of(relative)
    if source is None:
        return f"check the path in the experiment; official files are at {manifest.homepage}"
    command = f"vlrouting data fetch {dataset} --root {shlex.quote(str(root))}{_options(manifest, source, relative)}"
    if source.page is None:
        return f"fetch it: {command}"
    if source.is_archive:
        return f"ask for {source.file} at {source.page}, then name its folder: {command} --from FOLDER"
    return f"take it from {source.page}, and put it there"


def _options(manifest: Manifest, source: Source, relative: str) -> str:
    """What keeps the command to this file's kind, and to a split that needs it."""
    needed_by = source.provides[relative]
    if not needed_by:
        return f" --file {shlex.quote(relative)}"
    split = "" if set(needed_by) & set(manifest.default) else f" --split {needed_by[0]}"
    return split + (" --only annotations" if source.kind == "annotations" else "")
