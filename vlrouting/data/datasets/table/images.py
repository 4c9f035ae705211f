"""The pictures that a table names: where each lies, and what is wrong with the names of the others.

One look at each folder, none at each file: a million names take seconds, also over a network.
"""

from __future__ import annotations

import os
import re
from functools import lru_cache
from pathlib import Path
from posixpath import normpath
from typing import NamedTuple

from vlrouting.data.datasets.image_paths import links_out

FOLDER = "images"
"""Below the data root, where pictures may lie without being named so in the table."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_PUT_BELOW = "put the pictures below the data root (or link their folder there), and give their paths from there"


class WrongName(NamedTuple):
    """Why a name leads to no picture."""

    what: str
    remedy: str
    value: str


class ImageFiles:
    """The files below one data root."""

    def __init__(self, root: Path, required: bool = True) -> None:
        """
        Args:
            root: which names are relative to.
            required: false where no picture will be opened, so that it may be missing.
        """
        self.root, self.required = root, required
        self._folders: dict[str, frozenset[str] | None] = {}
        self._links: dict[str, dict[str, str]] = {}
        self._lower: dict[str, dict[str, str]] = {}
        self.find = lru_cache(1 << 14)(self._find)  # the rows of a picture often follow each other
        """Name in the table -> path below the root, or what is wrong with it."""

    def _find(self, name: str) -> str | WrongName:
        problem = _form_problem(name)
        if problem is not None:
            return problem
        path = self._relative(name)
        if path is None:
            return WrongName("the image lies outside of the data root", _PUT_BELOW, repr(name))
        for candidate in (path, f"{FOLDER}/{path}"):
            folder, _, file = candidate.rpartition("/")
            if file in (self._names(folder) or ()):
                target = self._link(folder, file)
                if target is None:
                    return candidate
                value = f"'{name}' leads to {target}"
                return WrongName("the image is a link out of the data root", _PUT_BELOW, value)
        return self._missing(name, path) if self.required else path

    def _relative(self, name: str) -> str | None:
        """The path below the root; None for what lies elsewhere."""
        path = normpath(name)
        if path.startswith("/"):
            root = os.path.abspath(self.root).rstrip("/") + "/"
            return path.removeprefix(root) if path.startswith(root) else None
        return None if path == ".." or path.startswith("../") else path

    def _names(self, folder: str) -> frozenset[str] | None:
        """The names of the files in a folder; None where there is none."""
        if folder not in self._folders:
            try:
                with os.scandir(self.root / folder) as entries:
                    self._folders[folder] = frozenset(entry.name for entry in entries if not _is_folder(entry))
            except (OSError, ValueError):
                self._folders[folder] = None
        return self._folders[folder]

    def _link(self, folder: str, file: str) -> str | None:
        """Where a file leads out of the root, and of the folder that a user may have linked there."""
        if folder not in self._links:
            top = Path(folder).parts[:1]
            bases = tuple({os.path.realpath(base) for base in (self.root, self.root.joinpath(*top))})
            self._links[folder] = links_out(str(self.root / folder), bases)
        links = self._links[folder]
        return (links.get(file) or links.get("")) if links else None

    def _missing(self, name: str, path: str) -> WrongName:
        folder, _, file = path.rpartition("/")
        for place in (folder, f"{FOLDER}/{folder}".rstrip("/")):
            if place not in self._lower:
                self._lower[place] = {known.lower(): known for known in self._names(place) or ()}
            known = self._lower[place].get(file.lower())
            if known is not None:
                value = f"'{name}', and the file is '{known}'"
                return WrongName("the image's name has other capital letters", "write it as the file is called", value)
        where = f"neither below {self.root} nor below {self.root / FOLDER}"
        return WrongName(f"the image is missing, {where}", "correct its path, or add the file", repr(name))


def _form_problem(name: str) -> WrongName | None:
    if "://" in name:
        return WrongName(
            "the image is a URL", "download the pictures, and give their paths below the data root", repr(name)
        )
    if _CONTROL.search(name):
        return WrongName("the image's path has a control character", "correct the path", repr(name))
    if "\\" in name:
        return WrongName("the image's path has a backslash", "write / between folders", repr(name))
    return None


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False
