"""`evaluate.split`: which split the final weights are scored on."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from tests.tiny_experiment import write_tuned_experiment
from tests.training.event_curves import curve
from vlrouting.experiment import RunDirectory, load

SETTINGS = ("bottleneck.routing=mul", "train.lr=0.01")


def ids(run: RunDirectory) -> set[int]:
    return {json.loads(line)["id"] for line in run.predictions.read_text().splitlines()}


def test_the_validation_split_takes_the_place_of_the_test_split(
    tmp_path: Path, run: Callable[..., RunDirectory]
) -> None:
    file = str(write_tuned_experiment(tmp_path, sweep={}, train={}))
    tested = run(load(file, SETTINGS))
    validated = run(load(file, [*SETTINGS, "evaluate.split=validation"]), "validated")
    assert all(number >= 20_000 for number in ids(validated)) and not ids(validated) & ids(tested)
    assert validated.read_run()["main_metric"] == "validation/vqa_accuracy"
    assert {name.partition("/")[0] for name in validated.read_metrics()} == {"validation"}
    assert validated.read_metrics()["validation/examples"] == len(ids(validated))
    # The last validation of the other run is of the same weights.
    key = "validation/vqa_accuracy"
    assert validated.read_metrics()[key] == tested.read_metrics()[key]
    assert (validated.artifact / "adapter_model.safetensors").read_bytes() == (
        tested.artifact / "adapter_model.safetensors"
    ).read_bytes()


def test_nothing_is_validated_on_the_way_unless_a_checkpoint_is_chosen(
    tmp_path: Path, run: Callable[..., RunDirectory]
) -> None:
    file = str(write_tuned_experiment(tmp_path, sweep={}, train={}))
    given = [*SETTINGS, "evaluate.split=validation", "train.validate_every_steps=4"]
    steps = [step for step, _ in curve(run(load(file, given)), "validation/vqa_accuracy")]
    assert steps == [10]  # the score at the end
    best = run(load(file, [*given, "evaluate.checkpoint=best"]), "best")
    assert [step for step, _ in curve(best, "validation/vqa_accuracy")][:2] == [4, 8]
