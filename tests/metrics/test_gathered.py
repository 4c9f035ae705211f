"""Predictions gathered over batches, and over two real processes, each image counted once.

Run as a program, this file is one of the two processes: `test_gathered.py RANK FOLDER`.
"""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as distributed

from vlrouting.metrics.gathered import GatheredPredictions, on_first_process

WORLD = 2


class Lengths(GatheredPredictions):
    """Evaluates to the sum of the texts' lengths and the evaluating process."""

    def evaluate(self, predictions: dict[int | str, str]) -> dict[str, Any]:
        if "" in predictions.values():
            raise ValueError("an empty text")
        return {"sum": sum(map(len, predictions.values())), "ids": list(predictions), "process": os.getpid()}


def update_all(metric: GatheredPredictions, *batches: Mapping[int | str, str]) -> None:
    for batch in batches:
        metric.update(batch)


# One process


def test_batches_are_gathered_and_sorted_by_id() -> None:
    metric = Lengths()
    update_all(metric, {10: "ten", 9: "nine"}, {}, {"10": "text", -1: "minus"})
    assert list(metric.gathered().items()) == [(-1, "minus"), (9, "nine"), (10, "ten"), ("10", "text")]
    assert metric.compute()["sum"] == 16


def test_ids_and_texts_are_unchanged() -> None:
    predictions: dict[int | str, str] = {
        2930152: "a",
        "2930152": "b",
        "02930152": "c",
        2**80: "large",
        "": "no id",
        "dev-850-0-0": 'quotes " and \\ and\nlines\r\u2028\x85\x00',
        "n411121": "café 😀 一只熊 \ud800",
        " 7 ": " spaces  ",
    }
    metric = Lengths()
    metric.update(predictions)
    assert metric.gathered() == predictions
    assert {type(identity) for identity in list(metric.gathered())[:2]} == {int}


def test_an_id_predicted_twice_counts_once() -> None:
    metric = Lengths()
    update_all(metric, {1: "one", 2: "two"}, {2: "two"}, {1: "one"})
    assert metric.compute()["sum"] == 6


def test_two_predictions_for_one_id_are_an_error() -> None:
    metric = Lengths()
    update_all(metric, {1: "one", "b": "x", 2: "two"}, {2: "zwei", "b": "y", 1: "one"})
    with pytest.raises(ValueError, match=r"2 ids \(2, 'b'\) predicted more than once, with different texts"):
        metric.compute()


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ({1: "a", torch.tensor(2): "b"}, r"id tensor\(2\) is neither an integer nor a string but a Tensor"),
        ({1: "a", False: "b"}, "a bool"),
        ({1: "a", 2.0: "b"}, "a float"),
        ({1: "a", "2": 3}, "id '2': the prediction is no string but 3"),
        ({1: "a", 2: None}, "id 2: the prediction is no string but None"),
    ],
)
def test_an_invalid_prediction_is_reported_and_the_batch_is_ignored(batch: Any, message: str) -> None:
    metric = Lengths()
    with pytest.raises(ValueError, match=message):
        metric.update(batch)
    assert metric.gathered() == {}


def test_reset_clears_predictions() -> None:
    metric = Lengths()
    metric.update({1: "one"})
    metric.compute()
    metric.reset()
    assert metric.gathered() == {}
    metric.update({1: "another"})
    assert metric.compute()["sum"] == 7


def test_empty_metric_evaluates_nothing() -> None:
    metric = Lengths()
    metric.update({})
    assert metric.compute()["ids"] == []


def test_metric_survives_pickling_and_conversion_to_half() -> None:
    metric = Lengths()
    metric.update({1: "é"})
    copy = pickle.loads(pickle.dumps(metric)).to(torch.float16)
    copy.update({2: "two"})
    assert copy.gathered() == {1: "é", 2: "two"}
    assert metric.gathered() == {1: "é"}


# Two processes


def two_processes(program: str, folder: Path, seconds: float = 240, **environment: str) -> list[dict[str, Any]]:
    """Run `program RANK FOLDER` for both ranks and return the content of each FOLDER/RANK.json. Has a time limit."""
    processes = [
        subprocess.Popen(
            [sys.executable, program, str(rank), str(folder)],
            env={**os.environ, **environment},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(WORLD)
    ]
    try:
        errors = [process.communicate(timeout=seconds)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert [process.returncode for process in processes] == [0, 0], "\n".join(errors)
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(WORLD)]


def join(rank: int, folder: Path) -> None:
    """Join the process group of two."""
    store = f"file://{folder / 'store'}"
    distributed.init_process_group(
        "gloo", init_method=store, rank=rank, world_size=WORLD, timeout=timedelta(seconds=120)
    )


def result_of(metric: GatheredPredictions) -> Any:
    try:
        return metric.compute()
    except Exception as error:
        return f"{type(error).__name__}: {error}"


class Unreadable(Exception):
    """An error that pickle can write but not read."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(first + second)


class Failing(Lengths):
    """Raises an error, or returns a result, that cannot be pickled."""

    def evaluate(self, predictions: dict[int | str, str]) -> Any:
        if 0 in predictions:
            raise Unreadable("a", "b")
        return lambda: 0


CASES: dict[str, tuple[list[dict[int | str, str]], list[dict[int | str, str]]]] = {
    # what each process predicts, batch by batch
    "uneven": ([{0: "a", 2: "ccc"}, {4: "é" * 5}], [{1: "bb"}, {3: "dddd"}]),
    "overlapping": ([{0: "a", 2: "ccc"}, {4: "eeeee"}], [{1: "bb", 3: "dddd"}, {0: "a"}]),
    "empty": ([], [{"01": "a", 1: "bb"}]),
    "empty batch": ([{"01": "a", 1: "bb"}], [{}]),
    "nothing": ([], []),
    "disputed": ([{0: "a"}, {1: "x"}], [{1: "y"}, {2: "z"}]),
    "failing": ([{0: "a"}], [{1: ""}]),
}


def run_process(rank: int, folder: Path) -> None:
    """Run every case; the same metric before and after a reset."""
    join(rank, folder)
    found: dict[str, Any] = {"process": os.getpid()}
    metric = Lengths()
    for name, shares in CASES.items():
        update_all(metric, *shares[rank])
        found[name] = result_of(metric)
        found[f"{name}, own"] = set(metric.gathered()) == set().union(*shares[rank])
        metric.reset()
    for name, number in (("unsendable error", 0), ("unsendable result", 1)):
        failing = Failing()
        failing.update({number: "x"})
        found[name] = result_of(failing)
    # A metric whose process group is one of the two processes.
    alone = Lengths(process_group=[distributed.new_group([each]) for each in range(WORLD)][rank])
    alone.update({rank: "x" * (rank + 1)})
    found["alone"] = result_of(alone)
    found["first"] = on_first_process(lambda: rank)
    (folder / f"{rank}.json").write_text(json.dumps(found))
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return two_processes(__file__, tmp_path_factory.mktemp("two"))


@pytest.mark.parametrize(
    ("case", "ids", "total"),
    [
        ("uneven", [0, 1, 2, 3, 4], 15),
        ("overlapping", [0, 1, 2, 3, 4], 15),
        ("empty", [1, "01"], 3),
        ("empty batch", [1, "01"], 3),
        ("nothing", [], 0),
    ],
)
def test_two_processes_evaluate_all_predictions_once(
    case: str, ids: list[int | str], total: int, both: list[dict[str, Any]]
) -> None:
    assert both[0][case] == {"sum": total, "ids": ids, "process": both[0]["process"]}
    assert both[1][case] == both[0][case]


def test_each_process_keeps_its_own_predictions(both: list[dict[str, Any]]) -> None:
    assert {found[f"{name}, own"] for found in both for name in CASES} == {True}


@pytest.mark.parametrize(
    ("case", "error"),
    [
        ("disputed", "ValueError: 1 id (1) predicted more than once, with different texts"),
        ("failing", "ValueError: an empty text"),
    ],
)
def test_an_error_is_raised_on_every_process(case: str, error: str, both: list[dict[str, Any]]) -> None:
    assert [found[case] for found in both] == [error, error]


def test_an_error_that_cannot_be_pickled_is_raised_on_every_process(both: list[dict[str, Any]]) -> None:
    assert [found["unsendable error"] for found in both] == ["Unreadable: ab", "RuntimeError: Unreadable: ab"]
    assert all("pickle" in found["unsendable result"] for found in both)


def test_a_group_of_one_process(both: list[dict[str, Any]]) -> None:
    assert [found["alone"]["sum"] for found in both] == [1, 2]
    assert [found["alone"]["process"] for found in both] == [found["process"] for found in both]


def test_the_first_process_evaluates(both: list[dict[str, Any]]) -> None:
    assert [found["first"] for found in both] == [0, 0]


if __name__ == "__main__":
    run_process(int(sys.argv[1]), Path(sys.argv[2]))
