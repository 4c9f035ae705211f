"""Several datasets in one run: their turns, their scores, their files; cut off, or with one of them alone."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from tests.tiny_backbones import save_tiny_gpt2
from tests.tiny_experiment import write_experiment, write_several_datasets, write_written_answers
from tests.training.event_curves import curve
from tests.training.test_resume import assert_same, stop_at, weights
from vlrouting.config import SelectConfig
from vlrouting.data.example import DataError
from vlrouting.data.loading.batch import Batch
from vlrouting.experiment import Experiment, RunDirectory, UserError, load
from vlrouting.launch.in_process import train
from vlrouting.prediction.predictor import Predictor
from vlrouting.selection import Selection, SelectionProblem, register_selector
from vlrouting.tasks.scored import TaskModule
from vlrouting.training import inputs as inputs_module
from vlrouting.training.assembly import Built, build_point
from vlrouting.training.evaluation import evaluate
from vlrouting.training.inputs import SharedInputs
from vlrouting.training.interruption import Cancelled


def run(experiment: Experiment, runs: Path) -> RunDirectory:
    assert train(experiment, experiment.points, runs) == {}
    return RunDirectory(runs / experiment.name / "default")


def build(experiment: Experiment) -> Built:
    return build_point(experiment.points[0].config, SharedInputs(torch.device("cpu")))


def records(run: RunDirectory) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run.predictions.read_text().splitlines()]


@pytest.mark.parametrize("write", [write_experiment, write_written_answers])
def test_one_dataset_is_the_run_of_that_dataset(write: Callable[..., Path], tmp_path: Path) -> None:
    own = {"data": {"validation": "val2014"}, "evaluate": {"checkpoint": "best", "batch_size": 16, "panel": 0}}
    file = write(tmp_path, **own)
    alone = run(load(str(file)), tmp_path / "alone")
    sections = yaml.safe_load(file.read_text())
    sections["datasets"] = {"mine": {**sections.pop("data"), "batch_size": sections["train"].pop("batch_size")}}
    file.write_text(yaml.safe_dump(sections))
    one = run(load(str(file)), tmp_path / "one")
    for tag in ("train/loss", "train/lr"):
        assert curve(one, tag) == curve(alone, tag) and len(curve(one, tag)) == 10
    assert curve(one, "loss/mine") == curve(one, "train/loss")
    a, b = weights(alone), weights(one)
    assert a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)
    assert records(one) == [{**record, "dataset": "mine"} for record in records(alone)]
    metrics = {key.replace("/mine/", "/"): value for key, value in one.read_metrics().items()}
    means = {f"{split}/mean": metrics.pop(f"{split}/mean") for split in ("validation", "test")}
    assert metrics == alone.read_metrics()
    assert means == {f"{split}/mean": metrics[f"{split}/vqa_accuracy"] for split in ("validation", "test")}


def test_the_datasets_take_turns_in_their_order_with_batches_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    trained: list[tuple[str, list[int | str]]] = []
    step = TaskModule.training_step

    def noted(self: TaskModule, batch: Batch, batch_index: int) -> torch.Tensor:
        trained.append((batch.dataset, [example.id for example in batch.examples]))
        return step(self, batch, batch_index)

    monkeypatch.setattr(TaskModule, "training_step", noted)
    # 32 questions in batches of 8, 32 captions in batches of 4.
    monkeypatch.setenv("PATH", "/nowhere")  # no Java: METEOR takes seconds
    given = {"max_steps": None, "epochs": 1, "validate_every_steps": 20, "log_every_steps": 6}
    done = run(load(str(write_several_datasets(tmp_path, images=16, train=given))), tmp_path / "runs")
    assert [name for name, _ in trained] == ["vqa", "captions"] * 8
    sizes = {name: {len(ids) for of, ids in trained if of == name} for name in ("vqa", "captions")}
    assert sizes == {"vqa": {8}, "captions": {4}}
    captions = [identity for name, ids in trained if name == "captions" for identity in ids]
    assert len(set(captions)) == 32
    questions = [identity for name, ids in trained if name == "vqa" for identity in ids]
    assert len(set(questions[:32])) == 32 and set(questions[32:]) <= set(questions[:32])  # 4 batches an epoch
    described = done.read_run()["datasets"]
    assert described == {
        "vqa": {"metric": "vqa_accuracy", "examples": 32, "batch_size": 8, "steps_per_epoch": 4},
        "captions": {"metric": "CIDEr", "examples": 32, "batch_size": 4, "steps_per_epoch": 8},
    }
    assert "an epoch is 16 steps: 8 rounds, the batches of captions" in capsys.readouterr().err
    steps = {name: [at for at, _ in curve(done, name)] for name in ("train/loss", "loss/vqa", "loss/captions")}
    assert steps == {"train/loss": [6, 12], "loss/vqa": [5, 11], "loss/captions": [6, 12]}


@pytest.mark.parametrize("accumulate", [1, 2])
def test_cut_off_in_the_middle_of_a_round(accumulate: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")  # no Java: METEOR takes seconds
    file = write_several_datasets(tmp_path, images=10, evaluate={"batch_size": 16, "panel": 0})
    experiment = load(str(file), [f"train.accumulate={accumulate}"])
    whole = run(experiment, tmp_path / "whole")
    # Both datasets begin new epochs on the way, with newly drawn answers.
    for batch in (1, 4, 7) if accumulate == 1 else (7, 17):
        stop_at(monkeypatch, batch, signal.SIGTERM)
        with pytest.raises(Cancelled):
            train(experiment, experiment.points, tmp_path / f"cut-{batch}")
        cut = run(experiment, tmp_path / f"cut-{batch}")
        assert_same(whole, cut)
        for tag in ("train/loss", "loss/vqa", "loss/captions", "validation/vqa/vqa_accuracy"):
            assert curve(cut, tag) == curve(whole, tag) and curve(whole, tag), tag


WORLD = {"prepare": "shapes", "train": "train", "validation": "val", "test": "test"}


@pytest.fixture
def world(shapes_world: Path, tmp_path: Path) -> Callable[..., Experiment]:
    """Questions, questions of the other kind, and statements about pairs of pictures."""

    def make(*overrides: str) -> Experiment:
        data = {**WORLD, "root": str(shapes_world), "max_text_tokens": 60, "max_target_tokens": 20}
        sections = {
            "task": "vqa_generation",
            "datasets": {name: {**data, "name": name, "batch_size": 4} for name in ("vqav2", "gqa", "nlvr2")},
            "vision": {
                "name": "vit_tiny_patch16_224", "weights": "random", "image_size": 32,
                "cache_dir": str(tmp_path / "features"),
            },
            "language": {"name": str(save_tiny_gpt2(tmp_path / "gpt2"))},
            "bottleneck": {"rank": 4, "routing": "mul"},
            "generate": {"max_new_tokens": 3},
            "train": {"max_steps": 6, "lr": 0.01, "accelerator": "cpu"},
            "evaluate": {"panel": 2},
        }  # fmt: skip
        (tmp_path / "world.yaml").write_text(yaml.safe_dump(sections, sort_keys=False))
        return load(str(tmp_path / "world.yaml"), list(overrides))

    return make


def test_scores_files_and_the_artifact_of_every_dataset(world: Callable[..., Experiment], tmp_path: Path) -> None:
    experiment = world("evaluate.checkpoint=best", "train.early_stopping.patience=50")
    done = run(experiment, tmp_path / "runs")
    metrics, facts, found = done.read_metrics(), done.read_run(), records(done)
    mains = {"vqav2": "vqa_accuracy", "gqa": "accuracy", "nlvr2": "accuracy"}
    for split in ("validation", "test"):
        each = [metrics[f"{split}/{name}/{main}"] for name, main in mains.items()]
        assert metrics[f"{split}/mean"] == pytest.approx(sum(each) / 3)
    assert (facts["main_metric"], facts["metric_variant"]) == ("test/mean", "mean of 3 datasets")
    shown: Any = facts["shown_metrics"]
    assert [*shown.items()][-1] == ("test/mean", "mean") and shown["test/gqa/accuracy"] == "gqa: GQA accuracy"
    assert len(str(facts["data_hash"])) == 16
    for name in mains:
        own = [record for record in found if record["dataset"] == name]
        assert metrics[f"test/{name}/examples"] == len(own) == len({record["id"] for record in own})
        assert metrics[f"test/{name}/{mains[name]}"] == pytest.approx(sum(r["score"] for r in own) / len(own))
    assert [record["dataset"] for record in found] == sorted((r["dataset"] for r in found), key=list(mains).index)
    assert (done.path / "gqa_gqa_results.json").is_file() and (done.path / "nlvr2_nlvr2_results.csv").is_file()
    assert (done.path / "vqav2_data.json").is_file() and not done.data.exists()
    assert curve(done, "validation/nlvr2/accuracy") and curve(done, "test/mean")

    predictor = Predictor(done.path)
    for name in mains:
        (record, *_) = [record for record in found if record["dataset"] == name]
        images = record.get("images") or record["image"]
        assert predictor.of(name).answer(images, record["question"]).text == record["prediction"]
    before = done.predictions.read_text()
    evaluate(experiment, experiment.points, tmp_path / "runs")
    assert (done.predictions.read_text(), done.read_metrics()) == (before, metrics)
    assert done.read_run()["data_hash"] == facts["data_hash"]


@pytest.mark.parametrize("setting", ["model.visual_input=noise", "vision.cache=false", "model.standardize_visual=true"])
def test_each_dataset_has_its_own_number_of_images(
    setting: str, world: Callable[..., Experiment], monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded: list[object] = []
    load_vision = inputs_module.load_vision
    monkeypatch.setattr(inputs_module, "load_vision", lambda config: loaded.append(config) or load_vision(config))
    built = build(world(setting, "vision.features=tokens", "evaluate.limit=6"))
    assert len(loaded) == 1  # one encoder for all
    model = built.task.model
    widths = {}
    for name, source in built.data.sources.items():
        batch = source.evaluation_batch(source.test_examples[:3])
        visual = model.visual_features(batch)
        assert visual is not None and torch.isfinite(
            built.task.task_models[name].loss(next(b for b in built.data.first_batches(3) if b.dataset == name))
        )
        widths[name] = tuple(visual.shape)
    assert {len(source.test_examples) for source in built.data.sources.values()} == {6}
    assert widths == {"vqav2": (3, 4, 32), "gqa": (3, 4, 32), "nlvr2": (3, 8, 32)}
    assert built.artifact_config["datasets"]["nlvr2"] == {"visual_shape": (8, 192), "images": 2}
    assert built.artifact_config["images"] == 1
    if model.standardize is not None:
        assert float(model.standardize.mean.abs().sum()) > 0


@dataclass
class OfAllConfig(SelectConfig):
    method: str = "of_all"


def test_a_selector_sees_the_loss_of_each_dataset(world: Callable[..., Experiment]) -> None:
    seen: list[tuple[str, bool]] = []

    def of_all(problem: SelectionProblem, config: OfAllConfig) -> Selection:
        seen.extend((batch.dataset, problem.loss(batch).requires_grad) for batch in problem.batches)
        return Selection({"bottleneck": ["transformer.h.0.attn.c_attn"]})

    register_selector("of_all", OfAllConfig)(of_all)
    build(world("select.method=of_all", "select.batches=3", "model.visual_input=noise"))
    assert seen == [("vqav2", True), ("gqa", True), ("nlvr2", True)]


def test_no_dataset_is_in_memory_twice_and_selectors_see_all(tmp_path: Path) -> None:
    file = write_several_datasets(tmp_path)
    sections = yaml.safe_load(file.read_text())
    sections["datasets"]["again"] = {**sections["datasets"]["vqa"], "prompt": "{text}", "batch_size": 2}
    file.write_text(yaml.safe_dump(sections, sort_keys=False))
    built = build(load(str(file)))
    one, again = built.data.sources["vqa"], built.data.sources["again"]
    assert one.training_examples is again.training_examples and one.test_examples is again.test_examples
    assert one.sampled is again.sampled
    first = list(built.data.first_batches(7))
    assert [batch.dataset for batch in first] == ["vqa", "captions", "again", "vqa", "captions", "again", "vqa"]
    assert [len(batch) for batch in first[:3]] == [8, 4, 2]
    assert not torch.equal(first[0]["input_ids"], first[3]["input_ids"])


def test_a_training_split_without_one_batch_names_its_dataset(tmp_path: Path) -> None:
    experiment = load(str(write_several_datasets(tmp_path)), ["datasets.captions.batch_size=64"])
    with pytest.raises(DataError, match=r"48 examples.* set datasets\.captions\.batch_size to at most 48"):
        build(experiment)


def test_without_one_of_the_main_scores_there_is_no_mean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")  # no Java, which captions that are not plain need
    file = write_several_datasets(tmp_path, images=10, generate={"max_new_tokens": 4}, train={"max_steps": 1})
    given = ["datasets.captions.validation=null", "datasets.captions.generate.max_new_tokens=1"]
    done = run(load(str(file), given), tmp_path / "runs")
    longest = {
        name: max(len(r["prediction"]) for r in records(done) if r["dataset"] == name) for name in ("vqa", "captions")
    }
    assert longest["vqa"] > longest["captions"] <= 1  # each generates as its own section says
    (captioned, *_) = [record for record in records(done) if record["dataset"] == "captions"]
    assert Predictor(done.path).caption(captioned["image"]) == captioned["prediction"]  # the first that describes
    with pytest.raises(UserError, match="the task captioning on captions; use: vlrouting caption"):
        Predictor(done.path, dataset="captions").answer(captioned["image"], "what?")
    with pytest.raises(UserError, match="on vqa, captions, not on 'caption'"):
        Predictor(done.path, dataset="caption")
    metrics, lacking = done.read_metrics(), done.read_run()["not_computed"]
    assert "test/vqa/vqa_accuracy" in metrics and "validation/vqa/vqa_accuracy" in metrics
    assert "validation/mean" not in metrics
    if "test/captions/CIDEr" not in metrics:
        assert "test/mean" not in metrics
        assert lacking["mean"].startswith("captions: Java")  # type: ignore[index]
        assert "captions/CIDEr" in lacking  # type: ignore[operator]
