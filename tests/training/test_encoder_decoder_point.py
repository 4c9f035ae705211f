"""Captions and generated answers of a tiny BART, from files to an artifact that predicts alike."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.command_line import vlrouting
from tests.doctor.checking import findings_of, problems
from tests.tiny_backbones import save_tiny_bart, save_tiny_clip
from tests.tiny_experiment import write_caption_experiment, write_written_answers
from tests.training.event_curves import curve
from vlrouting.experiment import RunDirectory, load
from vlrouting.launch.in_process import train
from vlrouting.prediction.predictor import Predictor
from vlrouting.training.evaluation import evaluate

TRAIN = {"max_steps": 24, "lr": 0.01, "validate_every_steps": None}


def records(run: RunDirectory) -> list[dict[str, object]]:
    return [json.loads(line) for line in run.predictions.read_text().splitlines()]


def run_of(folder: Path, *overrides: str) -> RunDirectory:
    experiment = load(str(folder / "tiny.yaml"), list(overrides))
    runs = folder / f"runs{len(list(folder.glob('runs*')))}"
    assert train(experiment, experiment.points, runs) == {}
    (run,) = (runs / "tiny").iterdir()
    return RunDirectory(run)


@pytest.fixture(scope="module")
def captions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the captions' experiment: a pooled grid of a CLIP tower of transformers, and everything trains."""
    folder = tmp_path_factory.mktemp("captions")
    sections = {
        "language": {"name": str(save_tiny_bart(folder / "bart"))},
        "vision": {
            "name": str(save_tiny_clip(folder / "clip")), "weights": "hub", "image_size": None, "features": "tokens",
            "pool": [2, 2],
        },
        "model": {"projector": "linear_norm", "unfreeze": ["all"]},
    }  # fmt: skip
    write_caption_experiment(folder, 8, train=TRAIN, **sections)
    return folder


def test_captions_are_trained_scored_and_generated_again_from_the_artifact(captions: Path) -> None:
    run = run_of(captions)
    metrics, found = run.read_metrics(), records(run)
    experiment = load(str(captions / "tiny.yaml"))
    evaluate(experiment, experiment.points, run.path.parents[1])
    assert run.read_metrics() == metrics and records(run) == found
    stored = json.loads((run.artifact / "adapter_config.json").read_text())
    assert stored["experiment"]["model"]["architecture"] == "encoder_decoder"
    assert stored["visual_shape"] == [4, 24]
    assert len(found) == 8 and all(record["prediction"] for record in found)
    losses = [loss for _, loss in curve(run, "train/loss")]
    assert losses[-1] < losses[0] / 2
    images = [Path(str(record["image"])) for record in found]
    predictor = Predictor(run.artifact)
    assert predictor.caption(images) == [record["prediction"] for record in found]
    done = vlrouting("caption", run.path, images[0])
    assert done.stdout.strip().endswith(str(found[0]["prediction"]))


def test_answers_are_trained_and_predicted_with_and_without_a_prefix(tmp_path: Path) -> None:
    """And a step of four micro-batches is the same as one of a single batch."""
    language = {"name": str(save_tiny_bart(tmp_path / "bart"))}
    model = {"visual_prefix": False, "projector": "mlp", "unfreeze": ["all"]}
    write_written_answers(tmp_path, language=language, model=model, train=TRAIN, bottleneck={"dropout": 0.0})
    run = run_of(tmp_path, "train.accumulate=1")
    found = records(run)
    assert {record["prediction"] for record in found} & {"red", "green", "blue", "yellow", "yes", "no"}
    first = found[0]
    answer = Predictor(run.path).answer(Path(str(first["image"])), str(first["question"]))
    assert answer.text == first["prediction"]
    prompt = f"Question: {first['question']} Answer:"
    tokenizer = Predictor(run.path).task_model.inputs.tokenizer
    assert answer.tokens == len(tokenizer(prompt)["input_ids"])  # special ones included, as the encoder reads them
    done = vlrouting("predict", run.path, str(first["image"]), str(first["question"]))
    assert str(first["prediction"]) in done.stdout
    split = [loss for _, loss in curve(run_of(tmp_path, "train.accumulate=4"), "train/loss")]
    assert [loss for _, loss in curve(run, "train/loss")] == pytest.approx(split, rel=2e-3)


def test_the_doctor_sizes_an_encoder_decoder(captions: Path) -> None:
    """BART's two sequences have a position each: the prompt with the image, and the text."""
    findings = findings_of(captions, "train.epochs=null", measure=True)
    assert not problems(findings)
    (lengths,) = [finding.found for finding in findings if finding.looked_at == "lengths"]
    assert "at most 50 tokens for 96 positions" in lengths
    longer = problems(findings_of(captions, "data.max_target_tokens=97"))
    assert [finding.looked_at for finding in longer] == ["lengths"]
