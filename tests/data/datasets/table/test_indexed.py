"""The index of a table's examples: used as long as nothing that they depend on has changed."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.data.datasets.table.own_tables import own, questions, read, touch, write_csv
from vlrouting.config import ExperimentConfig, SplitConfig, SplitShares
from vlrouting.data.datasets import example_index
from vlrouting.data.datasets.read import read_splits
from vlrouting.data.datasets.table import format as table_format
from vlrouting.data.example import DataError

OLD = 1_600_000_000
IMAGES = [f"{number}.png" for number in range(60)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A table that is large and old enough for an index."""
    monkeypatch.setattr(example_index, "LEAST_BYTES", 0)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    touch(tmp_path, IMAGES)
    write(tmp_path)
    return tmp_path


def write(folder: Path, time: int = OLD, **more: str) -> None:
    write_csv(folder / "t.csv", [{**row, "group": f"g{row['image']}", **more} for row in questions(60)])
    os.utime(folder / "t.csv", (time, time))


@pytest.fixture
def readings(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The splits that were read."""
    found: list[str] = []
    original = table_format.read_examples

    def counted(source: Any, split: str) -> Any:
        found.append(split)
        return original(source, split)

    monkeypatch.setattr(table_format, "read_examples", counted)
    return found


def test_a_table_is_read_once(folder: Path, readings: list[str]) -> None:
    first = read(folder)
    assert readings == ["train", "val", "test"]
    assert read(folder) == first and len(readings) == 3
    assert first["train"][0].group == f"g{first['train'][0].images[0].name}"


@pytest.mark.parametrize(
    "changed",
    [
        {"split_seed": 1},
        {"split_shares": SplitShares(0.6, 0.2, 0.2)},
        {"target": "answer"},
        {"splits": {"train": SplitConfig("t.csv")}},
        {"validation": "test"},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_other_settings_read_it_again(folder: Path, readings: list[str], changed: dict[str, Any]) -> None:
    read(folder)
    count = len(readings)
    read(folder, **changed)
    assert len(readings) > count


def test_a_changed_table_is_read_again(folder: Path, readings: list[str]) -> None:
    read(folder)
    write(folder, OLD + 5, answer="new")
    assert {example.answer for example in read(folder)["test"]} == {"new"} and len(readings) == 6


def test_the_task_is_no_matter_of_an_older_index(folder: Path) -> None:
    write(folder, caption="a cat")
    asked, described = (
        read_splits(ExperimentConfig(task=task, data=own(folder)).data)["test"]
        for task in ("vqa_classification", "captioning")
    )
    assert asked[0].text and not described[0].text and described[0].answers == ("a cat", "a cat")


def test_what_was_read_without_looking_for_pictures_is_looked_at_for_a_run_with_them(folder: Path) -> None:
    (folder / "7.png").unlink()
    read_splits(own(folder), images=False)
    with pytest.raises(DataError, match="the image is missing"):
        read(folder)
