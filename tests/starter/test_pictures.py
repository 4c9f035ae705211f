"""Which pictures a folder has, and when its sub-folders are classes."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from tests.starter.folders import write_pictures
from vlrouting.starter.pictures import ClassPicture, classes_of, find_pictures


def paths(*names: str) -> list[PurePosixPath]:
    return list(map(PurePosixPath, names))


def test_pictures_are_found_at_any_depth_and_nothing_else(tmp_path: Path) -> None:
    write_pictures(tmp_path, ["b.JPG", "images/a.png", "deep/er/c.webp"])
    write_pictures(
        tmp_path, [".hidden/d.png", "._e.jpg", "features/f.png", "runs/x/panel.png", "extracted-images/g.png"]
    )
    (tmp_path / "data.csv").touch()
    write_pictures(tmp_path, ["deep/features/h.png"])  # only below the root itself is it the project's own
    assert find_pictures(tmp_path) == paths("b.JPG", "deep/er/c.webp", "deep/features/h.png", "images/a.png")


@pytest.mark.parametrize("top", ["", "images/"])
def test_sub_folders_are_classes(top: str) -> None:
    found = classes_of(paths(f"{top}cat/1.jpg", f"{top}cat/2.jpg", f"{top}big dog/1.jpg"))
    assert found[2] == ClassPicture(PurePosixPath(f"{top}big dog/1.jpg"), "big dog", "")
    assert [picture.label for picture in found] == ["cat", "cat", "big dog"]


def test_folders_of_splits_above_the_classes() -> None:
    found = classes_of(paths("train/cat/1.jpg", "valid/cat/2.jpg", "Test/dog/3.jpg"))
    assert [(picture.label, picture.split) for picture in found] == [("cat", "train"), ("cat", "val"), ("dog", "test")]


def test_a_class_may_be_called_test() -> None:
    assert [picture.label for picture in classes_of(paths("flame/1.jpg", "test/1.jpg"))] == ["flame", "test"]


@pytest.mark.parametrize(
    "names",
    [
        ["1.jpg", "2.jpg"],
        ["cat/1.jpg", "2.jpg"],
        ["photos/1.jpg", "photos/2.jpg"],  # a single class is none
        ["train/1.jpg", "test/2.jpg"],  # splits without classes
        ["train/cat/1.jpg", "dog/1.jpg"],
        ["a/cat/1.jpg", "b/dog/1.jpg"],
    ],
)
def test_other_folders_are_no_classes(names: list[str]) -> None:
    assert classes_of(paths(*names)) == []
