"""Unpacking: resumed after an interruption at any point, and never both the archive and its contents on the disk."""

from __future__ import annotations

import random
import zipfile
from pathlib import Path

import pytest

from tests.data.fetch.made_archives import PICTURES, files_below, zip_bytes
from vlrouting.data.fetch.unpack import DamagedArchive, is_consumed, unpack


class Stop(Exception):
    """An interruption."""


def archive_in(folder: Path, members: dict[str, bytes] = PICTURES) -> Path:
    path = folder / "x.zip"
    path.write_bytes(zip_bytes(members, zipfile.ZIP_STORED))
    return path


def test_the_archive_shrinks_as_its_contents_grow(tmp_path: Path) -> None:
    path, into = archive_in(tmp_path), tmp_path / "into"
    whole, most = path.stat().st_size, 0

    def advance(_: int) -> None:
        nonlocal most
        most = max(most, sum(file.stat().st_size for file in tmp_path.rglob("*") if file.is_file()))

    assert unpack(path, ["train2014"], into, advance, keep=False) == len(PICTURES)
    assert files_below(into) == PICTURES
    directory = path.with_name("x.zip.directory").stat().st_size
    assert path.stat().st_size < 100 and most <= whole + directory + 2 * max(map(len, PICTURES.values()))


@pytest.mark.parametrize("keep", [True, False])
def test_it_is_resumed_after_any_member(keep: bool, tmp_path: Path) -> None:
    members = dict(list(PICTURES.items())[:6])
    for stop in range(1, 7):
        (folder := tmp_path / str(stop)).mkdir()
        path, calls = archive_in(folder, members), 0
        content = path.read_bytes()

        def advance(_: int) -> None:
            nonlocal calls
            calls += 1
            if calls == stop:  # noqa: B023 - called in this turn only
                raise Stop

        with pytest.raises(Stop):
            unpack(path, ["train2014"], folder / "into", advance, keep=keep)
        assert is_consumed(path) is not keep
        assert unpack(path, ["train2014"], folder / "into", lambda _: None, keep=keep) == 6
        assert files_below(folder / "into") == members
        assert not keep or path.read_bytes() == content


def test_what_was_unpacked_and_is_damaged_since_is_noticed(tmp_path: Path) -> None:
    """As after a power cut, where a file has its size and not its content."""
    path, into = archive_in(tmp_path), tmp_path / "into"
    unpack(path, ["train2014"], into, lambda _: None, keep=False)
    victim = into / random.Random(0).choice(list(PICTURES))
    victim.write_bytes(bytes(victim.stat().st_size))
    with pytest.raises(DamagedArchive, match=victim.name):
        unpack(path, ["train2014"], into, lambda _: None, keep=False)
    path = archive_in(tmp_path / "into")
    victim.write_bytes(bytes(victim.stat().st_size))
    unpack(path, ["train2014"], into, lambda _: None, keep=True)
    assert victim.read_bytes() == PICTURES[str(victim.relative_to(into))]
