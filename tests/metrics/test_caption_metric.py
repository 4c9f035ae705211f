"""Caption scores of a split over batches, and over two real processes with real Java.

Run as a program, this file is one of the two processes: `test_caption_metric.py RANK FOLDER`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch.distributed as distributed

from vlrouting.metrics.caption_metric import CaptionMetric
from vlrouting.metrics.caption_scores import SCORE_NAMES, CaptionScores, score

REFERENCES: dict[int | str, list[str]] = {
    391895: ["a man rides a red bicycle", "A man on a bike in the U.S."],
    7: ["two dogs play in the snow", "A pair of dogs isn't playing."],
    "007": ["a red circle above a blue square", "there is a circle"],
    1: ["a café with tables", "tables in a cafe"],
    12: ["a green triangle left of a star", "a triangle"],
    3: ["people ride horses on the beach", "horses and people"],
    5: ["a cat sleeps on a laptop", "the laptop has a cat on it"],
}
CAPTIONS: dict[int | str, str] = {
    391895: "a man riding a red bicycle.",
    7: "two dogs playing in snow",
    "007": "A red circle is above a blue square",
    1: "a café — with a table",
    12: "a green star left of a triangle",
    3: "a person on a horse",
    5: "",
}


def share(*ids: int | str) -> dict[int | str, str]:
    return {image: CAPTIONS[image] for image in ids}


@pytest.fixture
def no_java(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))


PLAIN = {1: ["a red circle", "one circle"], 2: ["a blue square left of a star"], "x": ["a star"]}


@pytest.mark.usefixtures("no_java")
def test_a_split_is_scored_over_batches() -> None:
    metric = CaptionMetric(PLAIN)
    assert metric.last is None
    captions: dict[int | str, str] = {"x": "star", 2: "a blue square", 1: "a circle"}
    for image, caption in captions.items():
        metric.update({image: caption})
    metric.update({1: "a circle"})
    values = metric.compute()
    assert metric.last == score(captions, PLAIN)
    assert values == metric.last.corpus
    assert "METEOR" in metric.last.not_computed
    assert set(values) == set(SCORE_NAMES) - {"METEOR"}


@pytest.mark.usefixtures("no_java")
def test_reset_clears_captions_but_keeps_the_last_scores() -> None:
    metric = CaptionMetric(PLAIN)
    metric.update({1: "a red circle", 2: "a blue square left of a star", "x": "a star"})
    right = metric.compute()
    metric.reset()
    assert metric.last is not None
    assert metric.last.corpus == right
    metric.update({1: "star", 2: "star", "x": "circle"})
    assert metric.compute()["CIDEr"] < 1 < 5 < right["CIDEr"]


def test_an_image_without_a_caption_is_an_error() -> None:
    metric = CaptionMetric({**PLAIN, **{number: ["a"] for number in range(10, 20)}})
    metric.update({1: "a", 12: "b"})
    with pytest.raises(ValueError, match=r"without a caption: 11 ids \(2, 10, 11, 13, 14, …\)"):
        metric.compute()


def test_a_caption_of_an_unknown_image_is_an_error_and_the_batch_is_ignored() -> None:
    metric = CaptionMetric(PLAIN)
    with pytest.raises(ValueError, match=r"the split does not have: 2 ids \(3, '1'\)"):
        metric.update({1: "a", "1": "b", 3: "c"})
    assert metric.gathered() == {}


@pytest.mark.parametrize(
    ("references", "message"),
    [({}, "no caption to score"), ({1: ["a"], 2: []}, r"\(2\)"), ({1: "a"}, r"no list of strings: 1 \(1\)")],
)
def test_invalid_references_are_rejected_at_once(references: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CaptionMetric(references)


@pytest.mark.usefixtures("no_java")
def test_spice_is_optional() -> None:
    metric = CaptionMetric(PLAIN, spice=True)
    metric.update({1: "a", 2: "b", "x": "c"})
    metric.compute()
    assert metric.last is not None
    assert set(metric.last.not_computed) == {"METEOR", "SPICE"}


# Two processes

SHARES = {
    # Seven images; the sampler of the second process pads with one of the first.
    "padded": ([share(391895, 7), share(1, 5)], [share("007"), share(12, 3), share(391895)]),
    "missing": ([share(391895, 7), share(1)], [share("007"), share(12, 3)]),
}


def run_process(rank: int, folder: Path) -> None:
    """Score both cases in one process, and write its result to a file."""
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder / 'store'}", rank=rank, world_size=2, timeout=timedelta(seconds=240)
    )
    found: dict[str, Any] = {}
    metric = CaptionMetric(REFERENCES)
    for name, shares in SHARES.items():
        for batch in shares[rank]:
            metric.update(batch)
        try:
            found[name] = metric.compute()
        except ValueError as error:
            found[name] = str(error)
        metric.reset()
    assert metric.last is not None
    found["per image"] = [[image, values] for image, values in metric.last.per_image.items()]
    found["not computed"] = metric.last.not_computed
    (folder / f"{rank}.json").write_text(json.dumps(found))
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("two")


@pytest.fixture(scope="module")
def both(folder: Path) -> list[dict[str, Any]]:
    """Results of two processes; a wrapper logs every start of Java."""
    java = folder / "java"
    java.write_text(f'#!/bin/sh\necho "$*" >> {folder}/starts\nexec {shutil.which("java")} "$@"\n')
    java.chmod(0o755)
    environment = {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
    command = [sys.executable, __file__]
    processes = [
        subprocess.Popen([*command, str(rank), str(folder)], env=environment, stderr=subprocess.PIPE, text=True)
        for rank in range(2)
    ]
    try:
        errors = [process.communicate(timeout=300)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert [process.returncode for process in processes] == [0, 0], "\n".join(errors)
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(2)]


@pytest.fixture(scope="module")
def alone() -> CaptionScores:
    """Scores of a single process."""
    metric = CaptionMetric(REFERENCES)
    metric.update(CAPTIONS)
    metric.compute()
    assert metric.last is not None
    return metric.last


def test_two_processes_give_exactly_the_scores_of_one(both: list[dict[str, Any]], alone: CaptionScores) -> None:
    assert set(alone.corpus) == set(SCORE_NAMES)
    assert [found["padded"] for found in both] == [alone.corpus, alone.corpus]
    expected = [[image, values] for image, values in alone.per_image.items()]
    assert [found["per image"] for found in both] == [expected, expected]
    assert [found["not computed"] for found in both] == [{}, {}]


def test_images_are_sorted_by_id(both: list[dict[str, Any]]) -> None:
    assert [image for image, _ in both[1]["per image"]] == [1, 3, 5, 7, 12, 391895, "007"]


def test_a_missing_image_is_an_error_on_both_processes(both: list[dict[str, Any]]) -> None:
    assert [found["missing"] for found in both] == ["images of the split without a caption: 1 id (5)"] * 2


def test_only_one_process_starts_java(both: list[dict[str, Any]], folder: Path) -> None:
    starts = (folder / "starts").read_text().splitlines()
    assert len(starts) == 2
    assert [name in start for name, start in zip(("PTBTokenizer", "meteor-1.5.jar"), starts, strict=True)] == [True] * 2


if __name__ == "__main__":
    run_process(int(sys.argv[1]), Path(sys.argv[2]))
