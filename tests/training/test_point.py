import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tests.data.datasets.official_files import edit_json
from vlrouting.config import ROUTINGS
from vlrouting.experiment import Experiment, RunDirectory, UserError
from vlrouting.experiment.provenance import code_version
from vlrouting.launch.in_process import train
from vlrouting.prediction.predictor import Predictor
from vlrouting.report.score_check import check_run
from vlrouting.training.checkpoints import read_checkpoint
from vlrouting.training.evaluation import evaluate

Make = Callable[..., Experiment]
Run = Callable[..., RunDirectory]


def scalars(run: RunDirectory, tag: str) -> list[tuple[int, float]]:
    events = EventAccumulator(str(run.tensorboard), size_guidance={"scalars": 0})
    events.Reload()
    return [(event.step, event.value) for event in events.Scalars(tag)]


def test_a_run_leaves_what_the_contract_says(experiment: Make, run: Run) -> None:
    done = run(experiment(images=60, model={"standardize_visual": True}, train={"max_steps": 200}))
    assert done.is_complete()
    info = done.read_run()
    assert info["status"] == "complete"
    for key in ("git_commit", "git_dirty", "packages", "device", "seed", "peak_memory_bytes", "samples_per_second"):
        assert key in info
    assert info["samples_per_second"] > 0  # type: ignore[operator]
    assert info["main_metric"] == "test/vqa_accuracy"
    assert info["shown_metrics"] == {"test/vqa_accuracy": "VQA accuracy (official evaluation code, 2021 variant)"}
    assert info["metric_variant"] == "VQA accuracy (official evaluation code, 2021 variant)"
    assert info["code_version"] == code_version() and re.fullmatch("[0-9a-f]{16}", str(info["data_hash"]))
    artifact = json.loads((done.artifact / "adapter_config.json").read_text())
    fingerprints = {"language": artifact["backbone"]["fingerprint"], "vision": artifact["vision"]["fingerprint"]}
    assert info["weights"] == {tower: found["all"] for tower, found in fingerprints.items()}
    metrics = done.read_metrics()
    assert {"test/vqa_accuracy", "validation/vqa_accuracy", "test/vqa_accuracy/answer_type/yes/no"} <= metrics.keys()
    records = [json.loads(line) for line in done.predictions.read_text().splitlines()]
    assert len(records) == metrics["test/examples"] == 120
    for variant in ("official", "legacy", "normalized"):
        of_each = [record["scores"][f"vqa_accuracy_{variant}"] for record in records]
        assert metrics[f"test/vqa_accuracy_{variant}"] == pytest.approx(sum(of_each) / 120, abs=1e-9)
    assert metrics["test/vqa_accuracy"] == pytest.approx(sum(record["score"] for record in records) / 120, abs=1e-9)
    assert len({record["cluster"] for record in records}) == 60 and records[0]["cluster"].startswith("val2014/COCO_")
    right = sum(min(1.0, 0.3 * record["references"].count(record["prediction"])) for record in records)
    assert metrics["test/vqa_accuracy"] == pytest.approx(100 * right / 120, abs=1e-9)
    assert metrics["test/vqa_accuracy"] > 60  # it learns: chance is below 50
    server = json.loads((done.path / "vqa_results.json").read_text())
    assert {r["question_id"]: r["answer"] for r in server} == {r["id"]: r["prediction"] for r in records}


def test_the_artifact_is_what_trained_and_nothing_else(experiment: Make, run: Run, tmp_path: Path) -> None:
    done = run(experiment(model={"standardize_visual": True}))
    tensors = load_file(done.artifact / "adapter_model.safetensors")
    trained = sum(t.numel() for name, t in tensors.items() if not name.startswith("standardize."))
    assert trained == done.read_run()["trained_parameters"]
    width, dv, rank, answers, layers = 32, 192, 4, 6, 2
    bottlenecks = layers * 2 * 2 * rank * width
    norms = layers * 2 * 2 * width
    projector = dv * width + width
    head = width * 2 * width + 2 * width + 4 * width + 2 * width * answers + answers
    assert trained == bottlenecks + norms + projector + head
    measured = {name for name in tensors if name.startswith("standardize.")}
    assert measured == {"standardize.mean", "standardize.deviation"}
    frozen = {name for name in tensors if "embeddings" in name or name.endswith(("query.weight", "value.weight"))}
    assert not frozen


def test_checkpoints_hold_no_frozen_tensor(experiment: Make, run: Run) -> None:
    done = run(experiment())
    state = read_checkpoint(done.last)["state_dict"]
    assert state
    assert not any("embeddings" in name or "vision" in name for name in state)
    assert sum(t.numel() for t in state.values()) == done.read_run()["trained_parameters"]


def test_the_same_seed_gives_the_same_losses_and_weights(experiment: Make, run: Run) -> None:
    point = experiment()
    first, second = run(point, "one"), run(point, "two")
    assert scalars(first, "train/loss") == scalars(second, "train/loss")
    assert_same_weights(first, second)
    other = run(experiment("seed=4"), "three")
    assert scalars(other, "train/loss") != scalars(first, "train/loss")


def assert_same_weights(one: RunDirectory, other: RunDirectory) -> None:
    a, b = (load_file(run.artifact / "adapter_model.safetensors") for run in (one, other))
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name


def test_cached_features_equal_encoding_on_the_fly(experiment: Make, run: Run) -> None:
    cached = run(experiment(), "cached")
    live = run(experiment("vision.cache=false"), "live")
    a, b = scalars(cached, "train/loss"), scalars(live, "train/loss")
    assert [step for step, _ in a] == [step for step, _ in b]
    torch.testing.assert_close([v for _, v in a], [v for _, v in b], atol=1e-4, rtol=1e-4)


def test_gradient_checkpointing_changes_nothing(experiment: Make, run: Run) -> None:
    plain = run(experiment(bottleneck={"dropout": 0.0}), "plain")
    recomputed = run(experiment("train.gradient_checkpointing=true", bottleneck={"dropout": 0.0}), "recomputed")
    a, b = scalars(plain, "train/loss"), scalars(recomputed, "train/loss")
    torch.testing.assert_close([v for _, v in a], [v for _, v in b], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("visual_input", ["noise", "ones", "shuffled"])
def test_ablations_of_the_image_run(experiment: Make, run: Run, visual_input: str) -> None:
    done = run(experiment(f"model.visual_input={visual_input}"))
    again = run(experiment(f"model.visual_input={visual_input}"), "again")
    assert_same_weights(done, again)
    assert done.predictions.read_text() == again.predictions.read_text()


def test_shuffled_images_are_others(experiment: Make, run: Run) -> None:
    own, other = run(experiment(), "own"), run(experiment("model.visual_input=shuffled"), "other")
    live = run(experiment("model.visual_input=shuffled", "vision.cache=false"), "live")
    assert scalars(own, "train/loss") != scalars(other, "train/loss")
    a, b = scalars(other, "train/loss"), scalars(live, "train/loss")
    torch.testing.assert_close([v for _, v in a], [v for _, v in b], atol=1e-4, rtol=1e-4)


def test_the_blind_floor_opens_no_image(experiment: Make, run: Run, tmp_path: Path) -> None:
    blind = experiment("model.visual_input=none", "bottleneck.routing=none", evaluate={"panel": 0})
    for subtype in ("train2014", "val2014"):
        shutil.rmtree(tmp_path / "data" / subtype)
    assert run(blind).is_complete()


def test_the_best_checkpoint_is_the_best_validation(experiment: Make, run: Run) -> None:
    done = run(experiment("evaluate.checkpoint=best", "train.lr=0.2"))
    scores = dict(scalars(done, "validation/vqa_accuracy"))
    best = read_checkpoint(done.best)
    assert best["callbacks"]["RunCheckpoints"]["best_score"] == pytest.approx(max(scores.values()))
    # The validation and the test split are the same here, so the tested weights give the best validation's score.
    assert done.read_metrics()["test/vqa_accuracy"] == pytest.approx(max(scores.values()), abs=1e-4)


def test_evaluate_gives_the_scores_of_training(experiment: Make, run: Run, tmp_path: Path) -> None:
    point = experiment(model={"standardize_visual": True})
    done = run(point)
    metrics, predictions = done.read_metrics(), done.predictions.read_text()
    done.predictions.unlink()
    evaluate(point, point.points, tmp_path / "runs")
    assert done.read_metrics() == metrics
    assert done.predictions.read_text() == predictions


def test_evaluate_brings_an_older_run_up_to_date_and_tells_other_data(
    experiment: Make, run: Run, tmp_path: Path
) -> None:
    point = experiment(train={"max_steps": 2}, data={"validation": None})
    done = run(point)
    hashed = str(done.read_run()["data_hash"])
    records = [json.loads(line) for line in done.predictions.read_text().splitlines()]
    older = [{key: record[key] for key in ("id", "question", "prediction", "references")} for record in records]
    done.predictions.write_text("".join(json.dumps(record) + "\n" for record in older))
    assert "run: vlrouting evaluate tiny" in check_run(done, "default").problem
    annotations = Path(point.points[0].config.data.root) / "v2_mscoco_val2014_annotations.json"
    edit_json(annotations, lambda content: content["annotations"][0]["answers"][0].update(answer="pink"))
    evaluate(point, point.points, tmp_path / "runs")
    assert check_run(done, "default").agrees
    again = str(done.read_run()["data_hash"])
    assert again[:8] == hashed[:8] and again[8:] != hashed[8:]  # trained on the same, tested on other data
    content = {**done.read_run(), "data_hash": None}  # an older run: what it was trained on is not known
    done.run_json.write_text(json.dumps(content))
    evaluate(point, point.points, tmp_path / "runs")
    assert done.read_run()["data_hash"] is None


def test_predict_answers_like_the_test(experiment: Make, run: Run, tmp_path: Path) -> None:
    done = run(experiment(model={"standardize_visual": True}))
    records = [json.loads(line) for line in done.predictions.read_text().splitlines()]
    predictor = Predictor(done.artifact)
    for record in records[:6]:
        top = predictor.answer([Path(record["image"])], record["question"], top=3)
        assert top.text == record["prediction"]
        probabilities = [probability for _, probability in top.ranked]
        assert len(probabilities) == 3 and probabilities == sorted(probabilities, reverse=True)


def test_other_settings_in_the_same_place_are_refused(experiment: Make, run: Run, tmp_path: Path) -> None:
    run(experiment())
    other = experiment("train.lr=0.5")
    with pytest.raises(UserError, match=r"train\.lr: 0\.01 → 0\.5"):
        train(other, other.points, tmp_path / "runs")


def test_targets_that_match_nothing_are_a_users_mistake(experiment: Make, tmp_path: Path) -> None:
    wrong = experiment("bottleneck.targets=[self.qeury]")
    with pytest.raises(UserError, match=r"bottleneck: targets: 'self.qeury' matches no module"):
        train(wrong, wrong.points, tmp_path / "runs")
    run = RunDirectory(tmp_path / "runs" / wrong.name / "default")
    assert run.status() == "failed"


def test_a_point_that_fails_does_not_stop_the_others(
    experiment: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sweep = experiment(sweep={"grid": {"bottleneck.routing": ["none", "add", "mul"]}})

    def broken(x_t: torch.Tensor, x_v: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("out of memory, say")

    monkeypatch.setitem(ROUTINGS._implementations, "add", broken)
    failed = train(sweep, sweep.points, tmp_path / "runs")
    assert failed == {"routing=add": "RuntimeError: out of memory, say"}
    states = {p.name: RunDirectory(tmp_path / "runs" / sweep.name / p.name).status() for p in sweep.points}
    assert states == {"routing=none": "complete", "routing=add": "failed", "routing=mul": "complete"}


def test_a_second_run_does_nothing(experiment: Make, run: Run) -> None:
    point = experiment()
    before = {path: path.stat().st_mtime_ns for path in run(point).path.rglob("*") if path.is_file()}
    after = {path: path.stat().st_mtime_ns for path in run(point).path.rglob("*") if path.is_file()}
    assert after == before


def test_tensorboard_has_curves_hparams_and_a_panel(experiment: Make, run: Run) -> None:
    done = run(experiment(sweep={"grid": {"seed": [3]}}))
    events = EventAccumulator(str(done.tensorboard), size_guidance={"scalars": 0, "images": 0})
    events.Reload()
    tags = events.Tags()
    assert {"train/loss", "train/lr", "validation/vqa_accuracy", "test/vqa_accuracy"} <= set(tags["scalars"])
    assert tags["images"] == ["data/train", "test/panel"]
    final = events.Scalars("final/vqa_accuracy")
    assert final[-1].value == pytest.approx(done.read_metrics()["test/vqa_accuracy"], abs=1e-4)
    assert "_hparams_/session_start_info" in events.summary_metadata
    assert [event.step for event in events.Scalars("validation/vqa_accuracy")] == [4, 8]


def test_dropout_and_workers(experiment: Make, run: Run) -> None:
    dropped = run(experiment(), "dropped")
    plain = run(experiment(bottleneck={"dropout": 0.0}), "plain")
    assert scalars(dropped, "train/loss") != scalars(plain, "train/loss")
    assert_same_weights(dropped, run(experiment("train.workers=1"), "workers"))
