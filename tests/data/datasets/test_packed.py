"""Columns of strings return what was stored, also in another process."""

from __future__ import annotations

import pickle

import pytest

from vlrouting.data.datasets.packed import CodedStrings, PackedStrings

STRINGS = ["yes", "", "no", "café", "猫", "yes", "🐈", "a\nb", "\ud800", "yes", ""]


@pytest.mark.parametrize("kind", [PackedStrings, CodedStrings])
def test_strings_are_unchanged(kind: type[PackedStrings] | type[CodedStrings]) -> None:
    column = kind()
    for number, string in enumerate(STRINGS):
        column.append(string)
        assert len(column) == number + 1 and column[number] == string
    copy = pickle.loads(pickle.dumps(column))
    assert [copy[number] for number in range(len(copy))] == STRINGS
    with pytest.raises(IndexError):
        column[len(STRINGS)]


def test_equal_strings_are_stored_once() -> None:
    column = CodedStrings()
    for _ in range(10_000):
        column.append("a rather long answer")
    assert len(pickle.dumps(column)) < 10_000 * 4 + 1_000
