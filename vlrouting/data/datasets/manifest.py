"""How to fetch missing official files, from the manifests in this package."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from importlib import resources
from importlib.abc import Traversable
from pathlib import Path
from typing import Any

from vlrouting.config import Problem


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
    if not _manifest(dataset).is_file():  # the dataset of a plug-in
        return "put it there, or correct the path in the experiment"
    content = read_manifest(dataset)
    for source in content["sources"]:
        if relative not in source["provides"]:
            continue
        if "url" not in source:
            return f"take it from {source['page']}, and put it there"
        url, folder = shlex.quote(source["url"]), shlex.quote(str(root))
        if not source["url"].endswith(".zip"):
            return f"fetch it: curl -fL --create-dirs -o {shlex.quote(str(root / relative))} {url}"
        archive = shlex.quote(str(root / source["url"].rsplit("/", 1)[1]))
        return f"fetch it: curl -fL --create-dirs -o {archive} {url} && unzip -o {archive} -d {folder}"
    return f"check the path in the experiment; official files are at {content['homepage']}"


def read_manifest(dataset: str) -> dict[str, Any]:
    """The manifest of a dataset: `homepage`, `licence`, and `sources` with the files that each of them provides."""
    import yaml  # imported here, because it is rarely needed

    content = yaml.safe_load(_manifest(dataset).read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return {str(key): value for key, value in content.items()}


def _manifest(dataset: str) -> Traversable:
    return resources.files("vlrouting.data") / "manifests" / f"{dataset}.yaml"
