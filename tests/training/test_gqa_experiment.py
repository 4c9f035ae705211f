"""GQA from its files to scores: every number, a part of the split, no public answers, a broken record."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.data.datasets.official_files import edit_json
from tests.tiny_backbones import save_tiny_roberta
from vlrouting.config import DataConfig
from vlrouting.data.datasets.read import read_splits
from vlrouting.data.example import DataError
from vlrouting.experiment import RunDirectory, load
from vlrouting.launch.in_process import train
from vlrouting.metrics.gqa_evaluation import evaluate

ALL = "gqa/test_all_questions.json"


@pytest.fixture
def world(shapes_world: Path, tmp_path: Path) -> Path:
    """A world that a test may break."""
    return Path(shutil.copytree(shapes_world, tmp_path / "shapes"))


def run(world: Path, *overrides: str) -> RunDirectory:
    """A run of one step, blind, which is all that the scores need."""
    folder = world.parent
    sections: dict[str, Any] = {
        "data": {
            "name": "gqa", "root": str(world), "prepare": "shapes", "train": "train", "test": "test_all",
            "min_answer_count": 1,
        },
        "language": {"name": str(save_tiny_roberta(folder / "roberta"))},
        "model": {"visual_input": "none"},
        "train": {"max_steps": 1, "batch_size": 8, "accelerator": "cpu"},
        "evaluate": {"panel": 0},
    }  # fmt: skip
    (folder / "asked.yaml").write_text(yaml.safe_dump(sections))
    experiment = load(str(folder / "asked.yaml"), overrides)
    assert train(experiment, experiment.points, folder / "runs") == {}
    return RunDirectory(folder / "runs" / "asked" / "default")


def predictions(done: RunDirectory) -> dict[str, str]:
    records = [json.loads(line) for line in done.predictions.read_text().splitlines()]
    return {record["id"]: record["prediction"] for record in records}


def test_all_questions_and_their_choices_give_every_number(world: Path) -> None:
    done = run(world)
    said, metrics = predictions(done), done.read_metrics()
    questions = json.loads((world / ALL).read_text())
    choices = json.loads((world / "gqa" / "test_choices.json").read_text())
    assert said.keys() == questions.keys()
    expected = evaluate(questions, said, choices)
    lacking = expected.pop("not_computed")
    assert {key: value for key, value in metrics.items() if key != "test/examples"} == pytest.approx(
        {f"test/{key}": value for key, value in expected.items()}
    )
    assert done.read_run()["not_computed"] == lacking
    assert {"test/accuracy", "test/validity", "test/plausibility", "test/distribution"} <= metrics.keys()
    server = json.loads((done.path / "gqa_results.json").read_text())
    assert {entry["questionId"]: entry["prediction"] for entry in server} == said


def test_answers_stand_in_the_vocabulary_as_they_are(world: Path) -> None:
    def capitals(content: Any) -> None:
        for record in content.values():
            record["answer"] = record["answer"].replace("no", "No, it is not")

    for name in ("train_balanced_questions", "test_all_questions"):
        edit_json(world / "gqa" / f"{name}.json", capitals)
    artifact = json.loads((run(world).artifact / "adapter_config.json").read_text())
    assert "No, it is not" in artifact["answers"]
    (examples,) = read_splits(DataConfig("gqa", str(world), "shapes", "train"), ["train"]).values()
    assert set(artifact["answers"]) == {example.answer for example in examples}


def test_a_limit_scores_a_part_and_says_so(world: Path) -> None:
    done = run(world, "evaluate.limit=20")
    metrics, info = done.read_metrics(), done.read_run()
    questions = json.loads((world / ALL).read_text())
    scored = [list(questions)[number * len(questions) // 20] for number in range(20)]
    said = predictions(done)
    assert sorted(said) == sorted(scored)
    balanced = [key for key in scored if questions[key]["isBalanced"]]
    right = sum(said[key] == questions[key]["answer"] for key in balanced)
    assert metrics["test/accuracy"] == pytest.approx(100 * right / len(balanced))
    assert info["shown_metrics"]["test/accuracy"] == f"GQA accuracy, 20 of {len(questions)} examples"  # type: ignore[index]
    assert "leave out evaluate.limit" in info["not_computed"]["consistency"]  # type: ignore[index]


def test_a_test_file_without_answers_is_predicted_for_the_server(world: Path) -> None:
    def without_answers(content: Any) -> None:
        for record in content.values():
            for key in set(record) - {"question", "imageId", "isBalanced"}:
                del record[key]

    edit_json(world / ALL, without_answers)
    done = run(world)
    assert done.read_metrics() == {"test/examples": len(predictions(done))}
    assert "evaluation server" in done.read_run()["not_computed"]["accuracy"]  # type: ignore[index]
    assert len(json.loads((done.path / "gqa_results.json").read_text())) == len(predictions(done))


def test_a_record_that_cannot_be_scored_is_found_before_training(world: Path) -> None:
    def broken(content: Any) -> None:
        next(record for record in content.values() if record["isBalanced"]).pop("semantic")

    edit_json(world / ALL, broken)
    with pytest.raises(DataError, match=r"test_all_questions\.json: question .* has no key 'semantic'"):
        run(world)
