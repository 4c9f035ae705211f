"""Captioning and written answers from files to a scored artifact."""

import json
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from tests.command_line import vlrouting
from tests.tiny_experiment import write_caption_experiment, write_written_answers
from tests.training.test_resume import assert_same, stop_at
from vlrouting.data.example import DataError
from vlrouting.experiment import Experiment, RunDirectory, UserError, load
from vlrouting.launch.in_process import train
from vlrouting.metrics.caption_scores import score
from vlrouting.metrics.per_example import statistic, values
from vlrouting.prediction.predictor import Predictor
from vlrouting.training.evaluation import evaluate
from vlrouting.training.interruption import Cancelled

Run = Callable[..., RunDirectory]


@pytest.fixture(scope="module")
def captioned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Experiment, RunDirectory]:
    """A captioning run, complete."""
    folder = tmp_path_factory.mktemp("captions")
    experiment = load(str(write_caption_experiment(folder)))
    assert train(experiment, experiment.points, folder / "runs") == {}
    return experiment, RunDirectory(folder / "runs" / "tiny" / "default")


def records(run: RunDirectory) -> list[dict[str, object]]:
    return [json.loads(line) for line in run.predictions.read_text().splitlines()]


def test_every_test_image_is_captioned_once_and_scored_officially(
    captioned: tuple[Experiment, RunDirectory],
) -> None:
    _, run = captioned
    found = records(run)
    assert [record["id"] for record in found] == list(range(33, 49))
    assert all(len(record["references"]) == 2 and "question" not in record for record in found)  # type: ignore[arg-type]
    expected = score(
        {record["id"]: record["prediction"] for record in found},
        {record["id"]: record["references"] for record in found},
    )
    metrics = run.read_metrics()
    for name in ("Bleu_1", "Bleu_4", "METEOR", "ROUGE_L", "CIDEr"):
        assert metrics[f"test/{name}"] == pytest.approx(100 * expected.corpus[name], abs=1e-9)
    for record in found:
        assert record["score"] == pytest.approx(100 * expected.per_image[record["id"]]["CIDEr"], abs=1e-9)
        assert record["cluster"] == f"pictures/{record['id']}.png" and str(record["image"]).endswith(record["cluster"])
    assert values(found, "test/CIDEr").mean() == pytest.approx(metrics["test/CIDEr"], abs=1e-9)
    for name in ("Bleu_1", "Bleu_2", "Bleu_3", "Bleu_4", "METEOR"):
        corpus = statistic(name)(values(found, name).sum(0))
        assert corpus == pytest.approx(metrics[f"test/{name}"], abs=1e-9)
    server = json.loads((run.path / "captions_results.json").read_text())
    assert server == [{"image_id": record["id"], "caption": record["prediction"]} for record in found]


def test_the_run_says_what_to_compare_and_shows_a_sheet(captioned: tuple[Experiment, RunDirectory]) -> None:
    _, run = captioned
    info = run.read_run()
    assert info["main_metric"] == "test/CIDEr"
    assert list(info["shown_metrics"].values()) == ["BLEU-4", "METEOR", "ROUGE-L", "CIDEr"]  # type: ignore[attr-defined]
    assert info["not_computed"] == {}
    with Image.open(run.panel) as sheet:
        assert sheet.width > 500


def test_evaluated_again_and_captioned_from_the_artifact_alike(
    captioned: tuple[Experiment, RunDirectory], tmp_path: Path
) -> None:
    experiment, run = captioned
    metrics, found = run.read_metrics(), records(run)
    evaluate(experiment, experiment.points, run.path.parents[1])
    assert run.read_metrics() == metrics and records(run) == found
    trained = Predictor(run.artifact)
    texts = trained.caption([Path(str(record["image"])) for record in found])
    assert texts == [record["prediction"] for record in found]
    with pytest.raises(UserError, match="trained for the task captioning; use: vlrouting caption"):
        trained.answer([Path(str(found[0]["image"]))], "what?")
    (tmp_path / "cut.png").write_bytes(Path(str(found[0]["image"])).read_bytes()[:40])
    with pytest.raises(DataError, match=r"cut\.png"):
        trained.caption([tmp_path / "cut.png"])


def test_a_captioning_run_that_was_cut_off_ends_with_the_same_weights(
    captioned: tuple[Experiment, RunDirectory], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    experiment, whole = captioned
    for step in (2, 7):
        runs = tmp_path / f"stopped-{step}"
        stop_at(monkeypatch, step, signal.SIGTERM)
        with pytest.raises(Cancelled):
            train(experiment, experiment.points, runs)
        assert train(experiment, experiment.points, runs) == {}
        assert_same(whole, RunDirectory(runs / "tiny" / "default"))


@pytest.mark.parametrize(
    ("routing", "visual"), [("gram", "image"), ("cross_attention", "image"), ("mul", "noise"), ("none", "none")]
)
def test_other_variants_run(tmp_path: Path, routing: str, visual: str) -> None:
    overrides = [f"bottleneck.routing={routing}", f"model.visual_input={visual}", "train.max_steps=2"]
    experiment = load(str(write_caption_experiment(tmp_path)), [*overrides, "vision.cache=false"])
    assert train(experiment, experiment.points, tmp_path / "runs") == {}
    assert RunDirectory(tmp_path / "runs" / "tiny" / "default").is_complete()


def test_answers_are_learnt_and_written_after_their_questions(tmp_path: Path) -> None:
    train_section = {"max_steps": 200, "batch_size": 16, "lr": 0.01, "schedule": "one_cycle", "warmup_fraction": 0.2}
    sections = {"train": train_section, "bottleneck": {"rank": 16, "dropout": 0.0}}
    experiment = load(str(write_written_answers(tmp_path, **sections)))
    assert train(experiment, experiment.points, tmp_path / "runs") == {}
    run = RunDirectory(tmp_path / "runs" / "tiny" / "default")
    found = records(run)
    # A random model that spells its answers letter by letter: untrained it hits none, and a few seconds teach it some.
    assert run.read_metrics()["test/vqa_accuracy"] > 15
    trained = Predictor(run.artifact)
    answer = trained.answer(Path(str(found[0]["image"])), str(found[0]["question"]))
    assert answer.ranked == ((found[0]["prediction"], None),) and answer.probability is None


def test_a_limit_scores_evenly_spaced_examples_and_says_so(tmp_path: Path) -> None:
    experiment = load(str(write_written_answers(tmp_path)), ["evaluate.limit=12", "train.max_steps=1"])
    assert train(experiment, experiment.points, tmp_path / "runs") == {}
    run = RunDirectory(tmp_path / "runs" / "tiny" / "default")
    assert run.read_metrics()["test/examples"] == 12
    assert len({int(str(record["id"])) // 10 for record in records(run)}) == 12  # of 24 images, every second question
    (title,) = run.read_run()["shown_metrics"].values()  # type: ignore[attr-defined]
    assert title.endswith(", 12 of 48 examples")


def test_without_java_training_goes_on_and_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_caption_experiment(tmp_path, train={"max_steps": 2})
    monkeypatch.setenv("PATH", "/nowhere")
    done = vlrouting("train", "tiny.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    warning = done.stderr.index("METEOR")
    assert warning < done.stderr.index("[1/1]")  # before any work
    assert "Java" in done.stderr
    run = RunDirectory(tmp_path / "runs" / "tiny" / "default")
    assert run.is_complete()
    assert "METEOR" in run.read_run()["not_computed"]  # type: ignore[operator]
    assert "test/METEOR" not in run.read_metrics()


def test_the_self_routing_is_refused_where_text_is_written(tmp_path: Path) -> None:
    with pytest.raises(Exception, match=r"bottleneck\.routing: self reads later tokens"):
        load(str(write_caption_experiment(tmp_path)), ["bottleneck.routing=self"])


def test_tasks_and_datasets_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="captioning is for coco, jsonl, not for vqav2"):
        load(str(write_caption_experiment(tmp_path)), ["data.name=vqav2"])


def test_gradient_checkpointing_gives_the_same_weights(
    captioned: tuple[Experiment, RunDirectory], tmp_path: Path
) -> None:
    _, whole = captioned
    folder = tmp_path / "again"
    experiment = load(str(write_caption_experiment(folder)), ["train.gradient_checkpointing=true"])
    assert train(experiment, experiment.points, folder / "runs") == {}
    one, other = (
        torch.cat([t.flatten() for t in _weights(run).values()])
        for run in (whole, RunDirectory(folder / "runs" / "tiny" / "default"))
    )
    torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-4)


def _weights(run: RunDirectory) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(run.artifact / "adapter_model.safetensors")
