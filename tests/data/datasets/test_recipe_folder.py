"""A recipe's folder is made once, completely or not at all."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from vlrouting.data import INDEX_FOLDER
from vlrouting.data.datasets.recipe_folder import folder_problems, is_made, make_once
from vlrouting.data.example import DataError

STAMP = {"recipe": "test", "version": 1, "seed": 0}


def make(folder: Path) -> Mapping[str, object]:
    folder.mkdir()
    (folder / "questions.json").write_text("[]")
    return {"questions": 0}


def never(folder: Path) -> Mapping[str, object]:
    raise AssertionError


def test_a_second_call_does_nothing(tmp_path: Path) -> None:
    root = tmp_path / "data" / "test"
    make_once(root, STAMP, make)
    assert json.loads((root / "prepared.json").read_text()) == {**STAMP, "questions": 0}
    make_once(root, STAMP, never)
    assert is_made(root, {"recipe": "test"}) and not is_made(tmp_path / "other", STAMP)


def test_a_folder_made_in_another_way_is_kept(tmp_path: Path) -> None:
    root = tmp_path / "test"
    make_once(root, STAMP, make)
    message = r"prepared\.json: the folder was made with version 1 instead of 2, seed 0 instead of 3; choose another"
    with pytest.raises(DataError, match=message):
        make_once(root, {**STAMP, "version": 2, "seed": 3}, never)
    (root / "prepared.json").write_text("[1]")
    (problem,) = map(str, folder_problems(root, STAMP, []))
    assert "made with recipe None instead of test" in problem and "remove the folder" in problem


def test_an_index_of_files_that_are_gone_is_removed(tmp_path: Path) -> None:
    root = tmp_path / "test"
    (root / INDEX_FOLDER).mkdir(parents=True)
    make_once(root, STAMP, make)
    assert is_made(root, STAMP) and not (root / INDEX_FOLDER).exists()


def test_missing_parts_are_named(tmp_path: Path) -> None:
    root = tmp_path / "test"
    assert folder_problems(root, STAMP, ["images"]) == []
    make_once(root, STAMP, make)
    (problem,) = map(str, folder_problems(root, STAMP, ["questions.json", "images/test", "images/val"]))
    assert problem.endswith("lacks images/test, images/val; remove the folder, and it is made again")


def test_other_files_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("text")
    with pytest.raises(DataError, match="holds files that this recipe did not make; move them away"):
        make_once(tmp_path, STAMP, never)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_an_interruption_leaves_no_folder(tmp_path: Path) -> None:
    def interrupted(folder: Path) -> Mapping[str, object]:
        make(folder)
        raise KeyboardInterrupt

    root = tmp_path / "test"
    with pytest.raises(KeyboardInterrupt):
        make_once(root, STAMP, interrupted)
    assert [path.name for path in tmp_path.iterdir()] in (["test.lock"], [])
    make_once(root, STAMP, make)
    assert (root / "questions.json").exists() and not (tmp_path / "test.unfinished").exists()


def test_one_of_several_concurrent_calls_does_the_work(tmp_path: Path) -> None:
    calls: list[Path] = []
    failures: list[BaseException] = []

    def counted(folder: Path) -> Mapping[str, object]:
        calls.append(folder)
        return make(folder)

    def call() -> None:
        try:
            make_once(tmp_path / "test", STAMP, counted)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=call) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures and len(calls) == 1
