"""`vlrouting score --check`: what a run has stored is what its predictions give, for every metric."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable, Container, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.command_line import REPOSITORY, vlrouting
from tests.metrics.test_gqa_evaluation import CHOICES, QUESTIONS
from tests.metrics.test_gqa_evaluation import PREDICTIONS as ANSWERED
from tests.metrics.test_nlvr2_evaluation import RECORDS as PAIRS
from tests.metrics.test_nlvr2_score import SAID
from vlrouting.config import DATASETS, METRICS, DataConfig, EvaluateConfig, ExperimentConfig, SplitConfig
from vlrouting.data.example import Example
from vlrouting.experiment import RunDirectory, to_yaml, write_json_atomic
from vlrouting.metrics.score import Score
from vlrouting.report.score_check import check_run
from vlrouting.tasks.prediction_records import prediction_records

ROOT = Path("data/made_up")
Change = Callable[[list[dict[str, Any]], dict[str, float]], object]
"""Of the records and of metrics.json."""


class Questions(list[Example]):
    """GQA's examples with the official records beside them, as the reader gives them."""

    def __init__(self, records: dict[str, dict[str, Any]], choices: dict[str, Any] | None = None) -> None:
        super().__init__(
            Example(
                qid,
                (ROOT / f"images/{record['imageId']}.jpg",),
                record["question"],
                {},
                (record["answer"],),
                answer_type=record["types"]["structural"],
                question_type=record["types"]["semantic"],
                answer=record["answer"],
            )
            for qid, record in records.items()
        )
        self._records, self._choices, self.official = records, choices, self

    def records(self) -> dict[str, dict[str, Any]]:
        return self._records

    def choices(self, question_ids: Container[str]) -> dict[str, Any] | None:
        return self._choices


def question(number: int, *answers: str, kind: str = "other") -> Example:
    return Example(number, (ROOT / f"val/{number // 2}.jpg",), "Где, what?", {}, answers, kind, "what", answers[0])


VQA = [
    question(4, *["yes"] * 10, kind="yes/no"),
    question(2, *["a dog"] * 10),
    question(3, "1,000", *["1000"] * 4, *["two, three"] * 5, kind="number"),
    question(1, *["unanswerable"] * 7, "кошка", "猫, ", " "),
    question(10, *["кошка"] * 9, "\u2028x"),
]
# In the official tokens "no." has its period where the next caption begins with a number, so the order matters.
CAPTIONS = [
    Example(7, (ROOT / "val/7.jpg",), "", {}, ("the sign says no", "one sign, on a mat")),
    Example(5, (ROOT / "val/5.jpg",), "", {}, ("the café's red sign", "a sign — “open”")),
    Example(3, (ROOT / "val/3.jpg",), "", {}, ("two dogs run on St.", "dogs run in Paris")),
]
NLVR2 = [
    Example(
        record["identifier"],
        (ROOT / f"{record['identifier']}-img0.png", ROOT / f"{record['identifier']}-img1.png"),
        record["sentence"],
        {},
        (record["label"].lower(),),
        answer=record["label"].lower(),
    )
    for record in PAIRS
]
WORLDS: dict[str, tuple[Sequence[Example], dict[Any, str]]] = {
    "vqav2": (VQA, {4: "yes", 2: "dog", 3: "1000", 1: "猫", 10: "кошка"}),
    "coco": (CAPTIONS, {7: "the sign says no.", 3: "two dogs run on St.", 5: "5 cafés, “open” signs, 猫"}),
    "gqa": (Questions(QUESTIONS), ANSWERED),
    "nlvr2": (NLVR2, dict(zip([example.id for example in NLVR2], SAID, strict=True))),
}
"""Data set -> examples and predictions."""


def write_run(
    run: RunDirectory,
    name: str,
    examples: Sequence[Any],
    predictions: dict[Any, str],
    *,
    split: str = "test",
    evaluate: EvaluateConfig | None = None,
    data: DataConfig | None = None,
) -> RunDirectory:
    """A complete run of these predictions, as training writes it."""
    evaluate = evaluate or EvaluateConfig()
    score: Score = METRICS.load(DATASETS.facts(name).metric("vqa_classification"))(examples, evaluate)
    scores = score.compute(predictions)
    records = sorted(prediction_records(score, predictions, scores, ROOT), key=lambda record: record["id"])
    run.path.mkdir(parents=True)
    config = replace(ExperimentConfig(), data=data or DataConfig(name=name, root=str(ROOT)), evaluate=evaluate)
    run.config.write_text(to_yaml(config))
    write_records(run, records)
    values = {f"{split}/{key}": value for key, value in scores.values.items()}
    write_json_atomic(run.metrics, {"training/loss": 1.0, **values, f"{split}/examples": len(records)})
    run.update_run(status="complete", main_metric=f"{split}/{score.main}", not_computed=scores.not_computed)
    return run


def write_records(run: RunDirectory, records: list[dict[str, Any]]) -> None:
    lines = [json.dumps(record, ensure_ascii=False) + "\n" for record in records]
    run.predictions.write_text("".join(lines), encoding="utf-8")


def read_records(run: RunDirectory) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run.predictions.read_text(encoding="utf-8").split("\n") if line]


@pytest.fixture
def run(tmp_path: Path) -> RunDirectory:
    return RunDirectory(tmp_path / "runs" / "made_up" / "routing=mul")


@pytest.mark.parametrize("name", WORLDS)
@pytest.mark.parametrize("split", ["test", "validation"])
def test_what_a_run_stores_is_what_its_predictions_give(run: RunDirectory, name: str, split: str) -> None:
    write_run(run, name, *WORLDS[name], split=split)
    found = check_run(run, "point")
    assert found.agrees and found.problem == "" and found.not_checked == {}
    stored = [key for key in run.read_metrics() if key.startswith(f"{split}/")]
    assert found.numbers == len(stored) >= 3 and found.examples == len(WORLDS[name][0])
    records = read_records(run)
    assert all({"prediction", "references", "cluster"} <= record.keys() for record in records)


@pytest.mark.parametrize("variant", ["legacy", "normalized"])
def test_the_variant_is_the_one_of_the_run(run: RunDirectory, variant: str) -> None:
    write_run(run, "vqav2", *WORLDS["vqav2"], evaluate=EvaluateConfig(vqa_variant=variant))
    assert check_run(run, "point").agrees
    run.config.write_text(run.config.read_text().replace(f"vqa_variant: {variant}", "vqa_variant: official"))
    names = {difference.name for difference in check_run(run, "point").differences}
    assert "test/vqa_accuracy" in names and any(name.startswith("score of example") for name in names)
    assert "test/vqa_accuracy_legacy" not in names


TAMPERED: dict[str, tuple[str, Change, str]] = {
    "a prediction": ("vqav2", lambda r, _: r[0].update(prediction="4"), "test/vqa_accuracy_official"),
    "a reference": ("vqav2", lambda r, _: r[0].update(references=["4"] * 10), "test/vqa_accuracy"),
    "a kind": ("vqav2", lambda r, _: r[0].update(answer_type="number"), "test/vqa_accuracy/answer_type/number"),
    "a score": ("vqav2", lambda r, _: r[0].update(score=99.0), "score of example 1"),
    "a part": ("nlvr2", lambda r, _: r[0]["scores"].update(consistency=[1, 2]), "consistency of example dev-850-0-0"),
    "a score too many": ("vqav2", lambda r, _: r[0]["scores"].update(mine=9.0), "mine of example 1"),
    "a missing score": ("vqav2", lambda r, _: r[0].pop("score"), "score of example 1"),
    "a cluster": ("vqav2", lambda r, _: r[0].update(cluster="val/1.jpg"), "cluster of example 1"),
    "a number": ("vqav2", lambda _, metrics: metrics.update({"test/vqa_accuracy": 61.2}), "test/vqa_accuracy"),
    "a number too many": ("vqav2", lambda _, metrics: metrics.update({"test/mine": 61.2}), "test/mine"),
    "the number of examples": ("vqav2", lambda _, metrics: metrics.update({"test/examples": 6}), "test/examples"),
    "summands": ("coco", lambda r, _: r[0]["scores"]["Bleu"].__setitem__(0, 4), "Bleu of example 3"),
    "fewer summands": ("coco", lambda r, _: r[0]["scores"]["Bleu"].pop(), "Bleu of example 3"),
    "a caption": ("coco", lambda r, _: r[0].update(prediction="a cat"), "test/ROUGE_L"),
    "a group": ("gqa", lambda r, _: r[3].update(group=None), "test/distribution"),
    "what is entailed": ("gqa", lambda r, _: r[0].update(entailed=["0005"]), "test/consistency"),
    "a pair": ("nlvr2", lambda r, _: r[0].update(prediction="true"), "test/accuracy"),
    "a set": ("nlvr2", lambda r, _: r[0].update(cluster="dev-851"), "cluster of example dev-850-0-0"),
}  # fmt: skip


@pytest.mark.parametrize("what", TAMPERED)
def test_what_was_changed_afterwards_is_found(run: RunDirectory, what: str) -> None:
    name, change, expected = TAMPERED[what]
    write_run(run, name, *WORLDS[name])
    changed(run, change)
    found = check_run(run, "point")
    assert not found.agrees and found.problem == ""
    assert expected in {difference.name for difference in found.differences}


def changed(run: RunDirectory, change: Change) -> None:
    records, metrics = read_records(run), run.read_metrics()
    change(records, metrics)
    write_records(run, records)
    write_json_atomic(run.metrics, metrics)


def test_an_example_that_is_gone_is_found(run: RunDirectory) -> None:
    write_run(run, "nlvr2", *WORLDS["nlvr2"])
    write_records(run, read_records(run)[1:])
    names = {difference.name for difference in check_run(run, "point").differences}
    assert "test/examples" in names and "test/accuracy" in names


def without(records: list[dict[str, Any]], *keys: str) -> None:
    for record in records:
        for key in keys:
            record.pop(key, None)


@pytest.mark.parametrize(
    ("name", "change", "lacks"),
    [
        ("vqav2", lambda records, _: without(records, "scores", "score"), "the scores of examples in predictions"),
        ("vqav2", lambda records, _: without(records, "scores"), "the scores of examples"),
        ("vqav2", lambda _, metrics: metrics.pop("test/vqa_accuracy_legacy"), "vqa_accuracy_legacy in metrics.json"),
        ("gqa", lambda records, _: records[0].pop("steps"), "'steps' in predictions.jsonl"),
        ("gqa", lambda records, _: without(records, "balanced", "steps"), "'balanced' in predictions.jsonl"),
    ],
)  # fmt: skip
def test_an_older_run_is_a_sentence_with_the_remedy(run: RunDirectory, name: str, change: Change, lacks: str) -> None:
    write_run(run, name, *WORLDS[name])
    changed(run, change)
    problem = check_run(run, "point").problem
    assert lacks in problem and problem.endswith("an older version wrote it; run: vlrouting evaluate made_up")
    assert "\n" not in problem


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("scores", {"vqa_accuracy": "x"}, "line 1: 'scores' must be an object of finite numbers"),
        ("scores", {"vqa_accuracy": [None]}, "line 1: 'scores' must be"),
        ("score", float("nan"), "line 1: 'score' must be a finite number, not nan"),
        ("score", True, "line 1: 'score' must be"),
        ("cluster", 1, "line 1: 'cluster' must be a string, not 1; repair the line"),
        ("image", ["a"], "line 1: 'image' must be"),
        ("images", "a", "line 1: 'images' must be"),
        ("answer_type", {}, "line 1: 'answer_type' must be"),
        ("id", "1", "some ids are integers and some are strings"),
        ("references", ["a"], "cannot be scored: question 1: VQA accuracy needs 10 answers"),
    ],
)
def test_a_damaged_record_is_named(run: RunDirectory, field: str, value: object, message: str) -> None:
    write_run(run, "vqav2", *WORLDS["vqav2"])
    records = read_records(run)
    records[0][field] = value
    write_records(run, records)
    assert message in check_run(run, "point").problem


@pytest.mark.parametrize("text", ["data: [", "data: {name: nothing}", "evaluate: {vqa_variant: x}", "data: 1"])
def test_a_damaged_configuration_is_named(run: RunDirectory, text: str) -> None:
    write_run(run, "vqav2", *WORLDS["vqav2"])
    run.config.write_text(text)
    assert "config.yaml is damaged" in check_run(run, "point").problem


def test_plugins_are_imported_for_a_data_set_of_theirs_alone_and_where_they_are_trusted(run: RunDirectory) -> None:
    write_run(run, "nlvr2", *WORLDS["nlvr2"])
    config = run.config.read_text().replace("plugins: []", "plugins: [not_a_module]")
    run.config.write_text(config)
    assert check_run(run, "point").agrees
    run.config.write_text(config.replace("name: nlvr2", "name: theirs"))
    assert "--trust-plugins" in check_run(run, "point").problem
    assert "'not_a_module' cannot be imported" in check_run(run, "point", trust_plugins=True).problem


def test_scores_that_need_java_are_named_where_there_is_none(
    run: RunDirectory, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = [replace(example, answers=("a cat sits", "one cat"), id=number) for number, example in enumerate(CAPTIONS)]
    write_run(run, "coco", plain, dict.fromkeys(range(3), "a cat"))
    assert "test/METEOR" in run.read_metrics()
    monkeypatch.setenv("PATH", "/nowhere")
    found = check_run(run, "point")
    assert found.agrees and set(found.not_checked) == {"METEOR"} and "Java" in found.not_checked["METEOR"]
    done = vlrouting("score", "--check", run.path)
    assert done.returncode == 0 and "as stored, without METEOR" in done.stdout
    assert "not checked: METEOR, because Java is not on PATH" in done.stdout
    # A run on a machine without Java has no METEOR, and that is no difference on a machine that has it.
    monkeypatch.undo()
    metrics, records = run.read_metrics(), read_records(run)
    del metrics["test/METEOR"]
    for record in records:
        del record["scores"]["METEOR"]
    write_json_atomic(run.metrics, metrics)
    write_records(run, records)
    run.update_run(not_computed={"METEOR": "no Java"})
    assert check_run(run, "point").agrees


def write_gqa(root: Path) -> DataConfig:
    """Official files of the questions with their choices, and the section `data` that names them."""
    root.mkdir()
    (root / "questions.json").write_text(json.dumps(QUESTIONS))
    (root / "choices.json").write_text(json.dumps(CHOICES))
    return DataConfig("gqa", str(root), test="mine", splits={"mine": SplitConfig("questions.json", "choices.json")})


def test_validity_needs_the_choices_of_the_data_set(run: RunDirectory, tmp_path: Path) -> None:
    data = write_gqa(tmp_path / "data")
    write_run(run, "gqa", Questions(QUESTIONS, CHOICES), ANSWERED, data=data)
    metrics = run.read_metrics()
    assert {"test/validity", "test/plausibility"} <= metrics.keys()
    found = check_run(run, "point")
    assert found.not_checked == {} and found.numbers == len(metrics) - 1
    # Clusters are below the data root that the test's examples have, and not below the one that holds the files.
    assert {difference.name.split()[0] for difference in found.differences} <= {"cluster"}
    write_json_atomic(run.metrics, {**metrics, "test/validity": 1.0})
    assert "test/validity" in {difference.name for difference in check_run(run, "point").differences}
    (tmp_path / "data" / "choices.json").unlink()
    write_json_atomic(run.metrics, metrics)
    assert set(check_run(run, "point").not_checked) == {"validity", "plausibility"}


def test_a_split_without_public_answers_has_nothing_to_differ(run: RunDirectory) -> None:
    hidden = [replace(example, answers=()) for example in NLVR2]
    write_run(run, "nlvr2", hidden, WORLDS["nlvr2"][1])
    assert check_run(run, "point").agrees


def test_the_command_names_point_number_and_both_values(tmp_path: Path) -> None:
    runs = tmp_path / "runs" / "made_up"
    for point in ("routing=add", "routing=mul", "tuning/lr=0.1"):
        write_run(RunDirectory(runs / point), "nlvr2", *WORLDS["nlvr2"])
    RunDirectory(runs / "routing=none").update_run(status="failed")
    done = vlrouting("score", "--check", runs)
    assert done.returncode == 0 and done.stdout.count("as stored") == 3 and "not complete" in done.stdout
    wrong = RunDirectory(runs / "routing=mul")
    write_json_atomic(wrong.metrics, {**wrong.read_metrics(), "test/consistency": 12.5})
    done = vlrouting("score", "--check", runs)
    assert done.returncode == 1 and "1 value differs" in done.stdout
    assert "routing=mul: test/consistency: stored is 12.5, the predictions give 50.0" in done.stdout
    assert vlrouting("score", "--check", runs / "routing=add").returncode == 0
    old = RunDirectory(runs / "routing=add")
    write_records(
        old, [{key: record[key] for key in ("id", "prediction", "references")} for record in read_records(old)]
    )
    done = vlrouting("score", "--check", old.path)
    assert done.returncode == 1 and "run: vlrouting evaluate made_up" in done.stdout


@pytest.mark.parametrize(("folder", "text"), [("runs/made_up", "holds no complete run"), ("nothing", "holds no run")])
def test_nothing_to_check_is_an_error(tmp_path: Path, folder: str, text: str) -> None:
    RunDirectory(tmp_path / "runs" / "made_up" / "default").update_run(status="running")
    done = vlrouting("score", "--check", tmp_path / folder)
    assert done.returncode == 2 and text in done.stderr


def test_a_file_of_captions_is_scored_as_before_and_answers_are_sent_here(tmp_path: Path) -> None:
    captions = write_run(RunDirectory(tmp_path / "captions"), "coco", *WORLDS["coco"])
    done = vlrouting("score", captions.predictions)
    assert done.returncode == 0 and f"{captions.read_metrics()['test/CIDEr']:.2f}" in done.stdout
    answers = write_run(RunDirectory(tmp_path / "answers"), "vqav2", *WORLDS["vqav2"])
    done = vlrouting("score", answers.predictions)
    assert done.returncode == 2 and f"vlrouting score --check {answers.path}" in done.stderr
    assert vlrouting("score", "--check", captions.path, "--per-image", "x.json").returncode == 2


CODE = """
import sys
from pathlib import Path
from vlrouting.experiment import RunDirectory
from vlrouting.report.score_check import check_run
assert check_run(RunDirectory(Path({path!r})), "point").agrees
print(sorted({{"torch", "lightning", "transformers", "PIL", "matplotlib"}} & set(sys.modules)))
"""


def test_it_needs_no_torch_and_no_images(run: RunDirectory) -> None:
    write_run(run, "vqav2", *WORLDS["vqav2"])
    code = CODE.format(path=str(run.path))
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_code_on_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = (REPOSITORY / "docs" / "evaluation.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    done = write_run(RunDirectory(tmp_path / "runs/demo_caption/routing=mul"), "coco", *WORLDS["coco"])
    monkeypatch.chdir(tmp_path)
    exec(code, {})
    assert f"mean={done.read_metrics()['test/Bleu_4']:.6f}"[:12] in capsys.readouterr().out
