"""Room on the disk of a run directory, for the reason of a failure."""

from __future__ import annotations

from pathlib import Path

import pytest

from vlrouting.training.reserved_space import RESERVED_BYTES, reserved_space


def test_the_room_is_taken_and_freed(tmp_path: Path) -> None:
    with reserved_space(tmp_path) as free:
        (file,) = tmp_path.iterdir()
        assert file.stat().st_size == RESERVED_BYTES
        free()
        assert not file.exists()
    with pytest.raises(ZeroDivisionError), reserved_space(tmp_path):
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(OSError) as caught, reserved_space(tmp_path / "gone"):
        pass
    assert str(tmp_path / "gone") in str(caught.value.filename)
