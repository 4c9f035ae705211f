"""What a zip archive holds, checked before anything is written: nothing leaves the root, nothing fills the disk."""

from __future__ import annotations

import re
import stat
import zipfile
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import pairwise
from pathlib import Path

from vlrouting.config.names import listed
from vlrouting.data.example import DataError

MOST_RATIO = 100
"""Bytes that a byte of an archive may unpack to: JSON text comes to 10 or 20, a zip bomb to 1000."""
MOST_MEMBERS = 1_000_000
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1 | 0x40
_DRIVE = re.compile(r"[A-Za-z]:")
_LOCAL_HEADER = 30
"""Bytes before a member's name and data."""
_KINDS = {stat.S_IFLNK: "a link", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device", stat.S_IFIFO: "a pipe"}
_NOT_OURS = "__MACOSX/"
"""Folder of resource forks, which macOS adds."""


def members_below(archive: zipfile.ZipFile, path: Path, provides: Iterable[str]) -> dict[str, zipfile.ZipInfo]:
    """The files of an archive that belong below the data root.

    Args:
        archive: opened; nothing is read but its directory.
        path: for the error messages.
        provides: files and folders that it has to hold, at the top or in one folder: `questions1.2/…`.

    Returns:
        Path below the data root -> member, in the order of the archive's bytes. Other members are left out.

    Raises:
        DataError: a member is unsafe or cannot be read, or one of `provides` is not there.
    """
    members = archive.infolist()
    problem = _problem(members, archive.start_dir)
    if problem is not None:
        raise DataError(f"{path}: {problem}; nothing of it was unpacked")
    files = {member.filename: member for member in members if not member.is_dir()}
    found: dict[str, zipfile.ZipInfo] = {}
    for wanted in provides:
        prefix = _folder_of(wanted, files, path)
        inside = {name.removeprefix(prefix): member for name, member in files.items() if name.startswith(prefix)}
        found |= {name: member for name, member in inside.items() if f"{name}/".startswith(f"{wanted}/")}
    return dict(sorted(found.items(), key=lambda item: item[1].header_offset))


def _folder_of(wanted: str, files: Mapping[str, zipfile.ZipInfo], path: Path) -> str:
    """The folder in the archive that holds a provided file or folder: empty for the top, or `questions1.2/`."""
    if any(f"{name}/".startswith(f"{wanted}/") for name in files):
        return ""
    places = {name: f"{name}/".find(f"/{wanted}/") for name in files if not name.startswith(_NOT_OURS)}
    folders = {name[: place + 1] for name, place in places.items() if place >= 0}
    if len(folders) == 1:
        return folders.pop()
    where = f"in {listed(sorted(folders))}" if folders else "nowhere in it"
    raise DataError(f"{path}: should hold one '{wanted}', which is {where}; nothing of it was unpacked")


def _problem(members: list[zipfile.ZipInfo], end: int) -> str | None:
    """Why an archive must not be unpacked."""
    if len(members) > MOST_MEMBERS:
        return f"has {len(members):,} members, more than {MOST_MEMBERS:,}"
    for member in members:
        problem = _member_problem(member)
        if problem is not None:
            return f"its member {_shown(member.orig_filename)} {problem}"
    # Some disks take names for the same that differ in case only.
    names = Counter(member.filename.casefold() for member in members if not member.is_dir())
    for name, times in names.most_common(1):
        if times > 1:
            return f"has {times} members named {_shown(name)}"
    folders = {folder for name in names for folder in _parents(name)}
    clash = next((name for name in names if name in folders), None)
    return f"its member {_shown(clash)} is a file and a folder" if clash else _size_problem(members, end)


def _member_problem(member: zipfile.ZipInfo) -> str | None:
    name = member.orig_filename
    parts = name.removesuffix("/").split("/")
    if name.startswith("/") or _DRIVE.match(name):
        return "has an absolute path"
    if ".." in parts:
        return "leads out of the folder"
    if "\\" in name or not all(parts) or "." in parts or any(ord(letter) < 32 for letter in name):
        return "has a name that is no plain path"
    kind = stat.S_IFMT(member.external_attr >> 16)
    if kind not in (0, stat.S_IFDIR if member.is_dir() else stat.S_IFREG):
        return f"is {_KINDS.get(kind, 'something else')}, not a file"
    if member.flag_bits & _ENCRYPTED:
        return "is encrypted"
    if member.compress_type not in _METHODS:
        return f"is compressed in a way that is not supported (method {member.compress_type})"
    return None


def _size_problem(members: list[zipfile.ZipInfo], end: int) -> str | None:
    """Zip bombs: too much for the archive's size, or members that share their bytes."""
    unpacked = sum(member.file_size for member in members)
    if unpacked > MOST_RATIO * max(end, 1):
        return f"would unpack to {unpacked:,} bytes, over {MOST_RATIO} times its size"
    places = sorted(members, key=lambda member: member.header_offset)
    starts = [*(member.header_offset for member in places), end]
    for member, (start, following) in zip(places, pairwise(starts), strict=True):
        if start + _LOCAL_HEADER + member.compress_size > following:
            return f"its member {_shown(member.filename)} overlaps the next one"
    return None


def _parents(name: str) -> list[str]:
    parts = name.split("/")
    return ["/".join(parts[:depth]) for depth in range(1, len(parts))]


def _shown(name: str) -> str:
    return f"{name!a:.100}"
