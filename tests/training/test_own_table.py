"""A user's own table, from the files to a trained artifact in use: every task, with the same commands as other data."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.command_line import Done, vlrouting
from tests.data.datasets.table.own_tables import COLORS, draw, names, read, write_csv, write_jsonl
from tests.tiny_backbones import save_tiny_gpt2, save_tiny_roberta
from tests.tiny_experiment import SECTIONS
from vlrouting.experiment import RunDirectory
from vlrouting.prediction.predictor import Predictor

ASKED = "what color is it ?"
IMAGES = [f"images/{number}.png" for number in range(40)]
SHOWN = [list(COLORS)[number % 3] for number in range(40)]


@dataclass(frozen=True)
class Case:
    """A table, and what is done with it."""

    write: Callable[[Path], Path]
    title: str
    main: str
    results: str
    ask: Sequence[str]
    task: str = "vqa_classification"
    data: dict[str, Any] = field(default_factory=dict)
    images: int = 1


def _questions(root: Path) -> Path:
    rows = zip(IMAGES, SHOWN, strict=True)
    return write_csv(
        root / "t.csv",
        [
            {"id": f"q{number}", "image": image, "question": ASKED, "answer": color, "group": f"g{number // 2}"}
            for number, (image, color) in enumerate(rows)
        ],
    )


def _answers(root: Path) -> Path:
    rows = zip(IMAGES, SHOWN, strict=True)
    return write_jsonl(
        root / "t.jsonl",
        [{"image": image, "question": ASKED, "answers": [color, "A " + color, "?"]} for image, color in rows],
    )


def _captions(root: Path) -> Path:
    rows = [(image, f"{text} {color}") for image, color in zip(IMAGES, SHOWN, strict=True) for text in ("a", "all is")]
    path = write_csv(root / "t.csv", [{"image": image, "caption": text} for image, text in rows], delimiter="\t")
    return path.rename(path.with_suffix(".tsv"))


def _pairs(root: Path) -> Path:
    rows = [
        {"images": [IMAGES[left], IMAGES[left + step]], "question": "same ?", "answer": "no" if step % 3 else "yes"}
        for left in range(0, 40, 4)
        for step in (1, 2, 3)
    ]
    return write_jsonl(root / "t.jsonl", rows)


CASES = {
    "one answer": Case(
        _questions,
        "exact match (normalised answers)",
        "answer_accuracy",
        "answers_results.json",
        ["predict", ASKED],
        data={"split_seed": 2},
    ),
    "several answers": Case(
        _answers,
        "VQA accuracy over 3 answers (leave-one-out)",
        "answer_accuracy",
        "answers_results.json",
        ["predict", ASKED],
        task="vqa_generation",
        data={"validation": None, "prompt": "Question: {text} Answer:"},
    ),
    "captions": Case(
        _captions, "CIDEr", "CIDEr", "captions_results.json", ["caption"], task="captioning", data={"validation": None}
    ),
    "two images": Case(
        _pairs,
        "exact match (normalised answers)",
        "answer_accuracy",
        "answers_results.json",
        ["predict", "same ?"],
        images=2,
    ),
}


@dataclass(frozen=True)
class Trained:
    """A trained point of a case."""

    case: Case
    folder: Path
    run: RunDirectory
    done: Done

    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.run.predictions.read_text().splitlines()]


def write(folder: Path, case: Case) -> Path:
    """The table, its pictures, and `own.yaml`."""
    draw(folder / "data", IMAGES)
    case.write(folder / "data")
    generates = case.task != "vqa_classification"
    language = save_tiny_gpt2(folder / "gpt2") if generates else save_tiny_roberta(folder / "roberta")
    experiment = {
        **SECTIONS,
        "task": case.task,
        "data": {"name": "jsonl", "root": "data", **case.data},
        "language": {"name": str(language)},
        "generate": {"max_new_tokens": 4},
    }
    if not generates:
        del experiment["generate"]
    experiment["train"] = {**experiment["train"], "max_steps": 3, "validate_every_steps": None, "logger": []}
    experiment["evaluate"] = {"panel": 0}
    (folder / "own.yaml").write_text(yaml.safe_dump(experiment))
    return folder / "own.yaml"


@pytest.fixture(scope="module", params=CASES)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder, case = tmp_path_factory.mktemp("own"), CASES[request.param]
    write(folder, case)
    done = vlrouting("train", "own.yaml", cwd=folder)
    assert done.returncode == 0, done.stderr
    return Trained(case, folder, RunDirectory(folder / "runs" / "own" / "default"), done)


def test_it_is_scored_by_the_metric_of_the_task(trained: Trained) -> None:
    case, records = trained.case, trained.records()
    assert trained.run.read_run()["main_metric"] == f"test/{case.main}"
    assert case.title in trained.done.stdout
    results = json.loads((trained.run.path / case.results).read_text())
    assert [set(result.values()) for result in results] == [{r["id"], r["prediction"]} for r in records]
    assert trained.run.read_metrics()[f"test/{case.main}"] == pytest.approx(
        sum(record["score"] for record in records) / len(records)
    )
    root = trained.folder / "data"
    of_test = names(read(root, **case.data, target="caption" if case.task == "captioning" else "answer")["test"], root)
    images = {str(path) for record in records for path in record.get("images", [record.get("image")])}
    assert images == {f"data/{name}" for name in of_test}


def test_the_stored_configuration_has_the_effective_values(trained: Trained) -> None:
    stored = yaml.safe_load(trained.run.config.read_text())["data"]
    expected = {"train": "train", "validation": trained.case.data.get("validation", "val"), "test": "test"}
    expected |= {"min_answer_count": 1, "target": "caption" if trained.case.task == "captioning" else "answer"}
    assert {key: stored[key] for key in expected} == expected
    shown = vlrouting("show", "own.yaml", cwd=trained.folder).stdout
    assert "data.train: train " in shown and f"data.target: {expected['target']} " in shown


def test_the_run_agrees_with_its_predictions(trained: Trained) -> None:
    done = vlrouting("score", "--check", "runs/own", cwd=trained.folder)
    assert done.returncode == 0 and "as stored" in done.stdout, done.stdout + done.stderr


def test_the_doctor_finds_nothing_wrong(trained: Trained) -> None:
    done = vlrouting("doctor", "own.yaml", cwd=trained.folder)
    assert done.returncode == 0 and "read through, examples: train " in done.stdout, done.stdout + done.stderr


def test_the_artifact_needs_no_table(trained: Trained, tmp_path: Path) -> None:
    moved = trained.folder / "data" / "moved"
    (trained.folder / "data").rename(moved.parent.with_name("elsewhere"))
    try:
        command, *question = trained.case.ask
        images = [str(trained.folder / "elsewhere" / name) for name in IMAGES[: trained.case.images]]
        done = vlrouting(command, "runs/own/default", *images, *question, cwd=trained.folder)
        assert done.returncode == 0 and done.stdout.strip(), done.stderr
        assert Predictor(trained.run.path).images == trained.case.images
    finally:
        (trained.folder / "elsewhere").rename(trained.folder / "data")


@pytest.mark.parametrize("trained", ["one answer"], indirect=True)
def test_groups_are_the_clusters_of_report_and_analysis(trained: Trained) -> None:
    splits = read(trained.folder / "data", split_seed=2)
    groups = {name: {example.group for example in examples} for name, examples in splits.items()}
    assert sum(map(len, groups.values())) == 20, "no group is in two splits"
    records = trained.records()
    assert {record["cluster"] for record in records} == groups["test"]
    assert f"{len(records)} test examples in {len(groups['test'])} clusters" in trained.done.stdout
    for command in (["report", "own"], ["analyse", "own.yaml", "train.accelerator=cpu"]):
        done = vlrouting(*command, cwd=trained.folder)
        assert done.returncode == 0, done.stderr
    assert trained.case.title in next(trained.folder.glob("runs/own/*.html")).read_text()


def test_every_mistake_stops_training_and_doctor_before_anything_is_loaded(tmp_path: Path) -> None:
    file = write(tmp_path, CASES["one answer"])
    text = (tmp_path / "data" / "t.csv").read_text()
    (tmp_path / "data" / "t.csv").write_text(text.replace("3.png", "gone.png").replace(f"{ASKED},blue", ",blue"))
    file.write_text(file.read_text().replace("roberta", "nowhere"))
    for command in ("train", "doctor"):
        done = vlrouting(command, "own.yaml", cwd=tmp_path)
        assert done.returncode != 0
        told = done.stdout + done.stderr
        assert command == "train" or ("the image is missing" in told and "the question is empty" in told), told
    file.write_text(file.read_text().replace("nowhere", "roberta"))
    done = vlrouting("train", "own.yaml", cwd=tmp_path)
    assert done.returncode == 2 and not (tmp_path / "data" / "features").exists()
    assert "lines 5, 15, 25 and 1 more: the image is missing" in done.stderr, done.stderr
    assert "the question is empty" in done.stderr and "Traceback" not in done.stderr
