"""What a point is put together from: training data apart from scored ones, selectors, both towers, old artifacts."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file, save_model

from vlrouting.bottleneck import ArtifactError
from vlrouting.bottleneck.kinds.lora import LoRA
from vlrouting.config import SELECTORS, SelectConfig
from vlrouting.experiment import Experiment, RunDirectory
from vlrouting.models.standardize import Standardize
from vlrouting.prediction.predictor import Predictor
from vlrouting.selection import Selection, SelectionProblem, register_selector
from vlrouting.training.assembly import Built, build_point
from vlrouting.training.evaluation import evaluate
from vlrouting.training.inputs import SharedInputs

Make = Callable[..., Experiment]
Run = Callable[[Experiment], RunDirectory]


def build(experiment: Experiment) -> Built:
    return build_point(experiment.points[0].config, SharedInputs(torch.device("cpu")))


def test_a_limit_of_the_scored_examples_leaves_the_training_data_whole(experiment: Make) -> None:
    built = build(experiment("data.train=val2014", "evaluate.limit=5"))
    assert len(built.data.first.training_examples) == 48
    assert built.data.first.validation_examples is not None
    assert (len(built.data.first.validation_examples), len(built.data.first.test_examples)) == (5, 5)
    assert list(built.test_split_sizes.values()) == [48]


def attached_to(run: RunDirectory) -> dict[str, list[str]]:
    stored = json.loads((run.artifact / "adapter_config.json").read_text())
    return {name: [target["name"] for target in targets] for name, targets in stored["places"].items()}


def agrees_with_its_artifact(experiment: Experiment, run: RunDirectory) -> None:
    """Evaluated again, and used for a prediction, it says what it said after training."""
    before = run.predictions.read_text()
    evaluate(experiment, experiment.points, run.path.parents[1])
    assert run.predictions.read_text() == before
    record = json.loads(before.splitlines()[0])
    found = Predictor(run.artifact).answer([Path(record["image"])], record["question"])
    assert found.text == record["prediction"]


def test_bottlenecks_in_both_towers_train_without_the_feature_cache(
    experiment: Make, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    both = experiment(
        bottleneck=None,
        bottlenecks={
            "text": {"kind": "lora", "rank": 4, "routing": "mul"},
            "image": {"kind": "lora", "rank": 2, "tower": "vision", "layers": [0, 11]},
        },
    )
    done = run(both)
    assert "feature cache off: image trains in the vision tower" in capsys.readouterr().err
    assert not (Path(both.points[0].config.data.root) / "features").exists()
    assert attached_to(done).keys() == {"text", "image"} and len(attached_to(done)["image"]) == 2
    tensors = load_file(done.artifact / "adapter_model.safetensors")
    for tower in ("language.", "vision."):
        ups = [tensor for name, tensor in tensors.items() if name.startswith(tower) and name.endswith("up.weight")]
        assert ups and all(float(up.abs().sum()) > 0 for up in ups)
    agrees_with_its_artifact(both, done)


@dataclass
class FirstConfig(SelectConfig):
    method: str = "first"
    count: int = 1


@pytest.fixture
def selector() -> list[list[int]]:
    """Registers a selector; notes the size of the batches that it has seen, with the kinds of their losses."""
    seen: list[list[int]] = []

    def first(problem: SelectionProblem, config: FirstConfig) -> Selection:
        seen.append([len(batch) for batch in problem.batches if problem.loss(batch).requires_grad])
        names = [name for name, _ in problem.model.language.named_modules() if name.endswith("query")]  # type: ignore[union-attr, operator]
        return Selection({"bottleneck": names[: config.count]}, ("pooler.dense.bias",))

    if "first" not in SELECTORS:
        register_selector("first", FirstConfig)(first)
    else:
        SELECTORS._implementations["first"] = first
    return seen


def test_a_selector_decides_before_anything_is_attached_and_draws_nothing(
    experiment: Make, run: Run, selector: list[list[int]]
) -> None:
    chosen = experiment(select={"method": "first", "batches": 3, "count": 1})
    done = run(chosen)
    assert selector == [[8, 8, 8]]
    (place,) = attached_to(done)["bottleneck"]
    agrees_with_its_artifact(chosen, done)
    assert len(selector) == 1  # an artifact is used as it is stored
    given = build(experiment(bottleneck={"targets": [place]}))
    selected = build(chosen)
    parameters = dict(given.task.model.named_parameters())
    for name, parameter in selected.task.model.named_parameters():
        assert torch.equal(parameter, parameters[name]), name  # the same initialisation
    trained = {name for name, p in selected.task.model.named_parameters() if p.requires_grad}
    assert {name for name in trained if "pooler" in name} == {"language.pooler.dense.bias"}


def test_a_selector_tries_the_bottlenecks_and_unfreezes_in_both_towers(
    experiment: Make, run: Run, selector: list[list[int]], tmp_path: Path
) -> None:
    folders: list[Path | None] = []

    def trying(problem: SelectionProblem, config: FirstConfig) -> Selection:
        (batch,) = problem.batches
        before = problem.loss(batch)
        with problem.attached() as towers:
            assert torch.equal(problem.loss(batch), before)  # both towers start as the frozen model
            problem.loss(batch).backward()
            for routed in towers.values():  # `down` has no gradient while `up` is zero
                ups = [p.grad for b in routed.bottlenecks.values() for n, p in b.named_parameters() if "up" in n]
                assert ups and all(grad is not None and bool(grad.abs().sum() > 0) for grad in ups)
                assert not all(p.requires_grad for p in routed.model.parameters())
        assert torch.equal(problem.loss(batch), before)
        folders.append(problem.folder)
        places = {name: [towers[name].places[name][0]] for name in towers}
        return Selection(places, ("pooler.dense.bias",), ("blocks.1.attn.proj.bias",))

    SELECTORS._implementations["first"] = trying
    towers = {
        "language": {"kind": "lora", "rank": 2, "routing": "mul"},
        "vision": {"kind": "lora", "rank": 2, "tower": "vision"},
    }
    chosen = experiment(select={"method": "first", "batches": 1}, bottlenecks=towers, bottleneck=None)
    done = run(chosen)
    assert folders == [done.path / "selection"]
    assert {name: len(places) for name, places in attached_to(done).items()} == {"language": 1, "vision": 1}
    agrees_with_its_artifact(chosen, done)
    trained = load_file(done.artifact / "adapter_model.safetensors")
    assert [name for name in trained if name.endswith("attn.proj.bias")] == ["vision.model.blocks.1.attn.proj.bias"]
    assert "language.pooler.dense.bias" in trained


@pytest.mark.parametrize("tower", ["language", "vision"])
def test_an_artifact_on_other_backbones_is_refused(tower: str, experiment: Make, run: Run, tmp_path: Path) -> None:
    """The same names and shapes, and weights that somebody has replaced since."""
    weights = tmp_path / "vit.safetensors"
    encoder = timm.create_model("vit_tiny_patch16_224", img_size=32)
    save_model(encoder, str(weights))
    made = experiment(vision={"weights": str(weights)}, train={"max_steps": 2})
    done = run(made)
    file, name = (weights, "blocks.3.norm1.bias") if tower == "vision" else (
        tmp_path / "roberta" / "model.safetensors", "encoder.layer.1.output.dense.bias"
    )  # fmt: skip
    tensors = load_file(file)
    tensors[name] += 0.1
    save_file(tensors, file, metadata={"format": "pt"})
    before = done.predictions.read_bytes()
    with pytest.raises(ArtifactError, match=r"frozen weights of .* are not the same"):
        Predictor(done.artifact)
    with pytest.raises(ArtifactError, match=r"frozen weights of .* are not the same"):
        evaluate(made, made.points, done.path.parents[1])
    assert done.predictions.read_bytes() == before


def test_an_artifact_of_version_1_is_read(experiment: Make, run: Run) -> None:
    done = run(experiment())
    file = done.artifact / "adapter_config.json"
    stored = json.loads(file.read_text())
    record = json.loads(done.predictions.read_text().splitlines()[0])
    old = {key: value for key, value in stored.items() if key not in ("bottlenecks", "places", "unfreeze")}
    keys = {**stored["experiment"]["bottleneck"], "train_layer_norm": True, "position": "post_module", "shared": False}
    keys.pop("tower")
    model = {key: value for key, value in stored["experiment"]["model"].items() if key != "unfreeze"}
    experiment_section = {**stored["experiment"], "bottleneck": keys, "model": model}
    file.write_text(json.dumps({**old, "schema_version": 1, "experiment": experiment_section}))
    found = Predictor(done.artifact).answer([Path(record["image"])], record["question"])
    assert found.text == record["prediction"]


def test_a_selector_sees_standardised_features(experiment: Make, selector: list[list[int]]) -> None:
    seen: list[Standardize] = []

    def looking(problem: SelectionProblem, config: FirstConfig) -> Selection:
        seen.append(problem.model.standardize)  # type: ignore[arg-type]
        return Selection({"bottleneck": ["encoder.layer.0.attention.self.query"]})

    SELECTORS._implementations["first"] = looking
    built = build(experiment(select={"method": "first", "batches": 1}, model={"standardize_visual": True}))
    assert built.task.model.standardize is not None
    for one, other in zip(seen[0].buffers(), built.task.model.standardize.buffers(), strict=True):
        assert torch.equal(one, other)


def test_the_training_loss_has_what_bottlenecks_add_and_the_loss_has_not(
    experiment: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = build(experiment(bottleneck={"kind": "lora", "rank": 2, "routing": "mul"}))
    task, batch = built.task.task_model, next(iter(built.data.first_batches(1)))
    plain = task.training_loss(batch)
    assert torch.equal(plain, task.loss(batch))
    monkeypatch.setattr(LoRA, "auxiliary_loss", lambda self: self.down.weight.pow(2).sum())
    expected = sum(each.down.weight.pow(2).sum() for each in task.model.routed.bottlenecks.values())
    torch.testing.assert_close(task.training_loss(batch) - plain, expected)
    assert torch.equal(plain, task.loss(batch))
