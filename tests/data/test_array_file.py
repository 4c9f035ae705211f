"""Arrays in a file: what was written is read, or the file is refused."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from vlrouting.data import array_file
from vlrouting.data.array_file import ArrayFile, Arrays, DamagedFile, smallest, write_arrays

STORED = Arrays(
    {
        "bytes": np.arange(100, dtype=np.uint8),
        "none": np.empty(0, np.float64),
        "matrix": np.arange(12, dtype=">i4").reshape(3, 4),
        "numbers": np.array([0.3, np.inf, -1e300]),
    },
    {"what": "caf\u00e9", "unique": True},
)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    write_arrays(tmp_path / "a", STORED)
    found = ArrayFile(tmp_path / "a")
    assert found.facts == STORED.facts and found.arrays.keys() == STORED.arrays.keys()
    for name, array in STORED.arrays.items():
        assert found[name].shape == array.shape and found[name].dtype.kind == array.dtype.kind
        assert np.array_equal(found[name], array) and not found[name].flags.writeable
    assert np.array_equal(pickle.loads(pickle.dumps(found))["matrix"], STORED["matrix"])
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_copy_in_another_process_costs_a_path(tmp_path: Path) -> None:
    write_arrays(tmp_path / "a", Arrays({"many": np.zeros(100_000)}, {}))
    assert len(pickle.dumps(ArrayFile(tmp_path / "a"))) < 500


def test_every_damage_is_found(tmp_path: Path) -> None:
    path = tmp_path / "a"
    write_arrays(path, STORED)
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place])
        with pytest.raises(DamagedFile):
            ArrayFile(path)
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 4]) + whole[place + 1 :])
        with pytest.raises(DamagedFile):
            ArrayFile(path)


def test_a_copy_is_of_the_same_file(tmp_path: Path) -> None:
    write_arrays(tmp_path / "a", STORED)
    copy = pickle.dumps(ArrayFile(tmp_path / "a"))
    write_arrays(tmp_path / "a", Arrays({"other": np.zeros(3)}, {}))
    with pytest.raises(DamagedFile):
        pickle.loads(copy)


def test_a_file_that_cannot_be_finished_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(array_file.zlib, "crc32", full)
    with pytest.raises(OSError, match="No space"):
        write_arrays(tmp_path / "a", STORED)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("most", "size"), [(0, 1), (255, 1), (256, 2), (70_000, 4), (2**40, 8)])
def test_the_smallest_type(most: int, size: int) -> None:
    assert smallest(np.array([0, most], np.uint64)).itemsize == size
    assert smallest(np.empty(0, np.uint64)).itemsize == 1
