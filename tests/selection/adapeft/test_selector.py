"""AdaPEFT on planted models: what cannot matter is never chosen, and nothing is left behind."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.selection.adapeft.planted import LORA, Classifier, problem_of
from vlrouting.bottleneck import BottleneckConfig
from vlrouting.config import AdapeftConfig, ModelConfig, check
from vlrouting.selection import Selection, select

LARGE = 10**9


def names(selection: Selection) -> list[str]:
    return [getattr(target, "name", target) for target in selection.places["bottleneck"]]


def rows(folder: Path) -> dict[str, dict[str, Any]]:
    return {row["group"]: row for row in json.loads((folder / "adapeft.json").read_text())}


def with_dead_attention() -> Classifier:
    """Block 1's attention has no way out, so that its query and value cannot matter."""
    model = Classifier()
    with torch.no_grad():
        for parameter in model.language.encoder.layer[1].attention.output.dense.parameters():
            parameter.zero_()
    return model


@pytest.mark.parametrize("direction", ["sign", "gradient"])
@pytest.mark.parametrize("split", ["block", "target"])
def test_a_layer_that_cannot_matter_is_never_chosen(direction: str, split: str, tmp_path: Path) -> None:
    problem = problem_of(with_dead_attention(), folder=tmp_path)
    config = AdapeftConfig(budget=LARGE, direction=direction, split=split, groups=["*.key.bias", "biases"])
    selection = select(problem, config)
    assert names(selection) and not any(".1." in name for name in names(selection))
    # A key's bias adds the same to all scores of a query: its gradient is nothing but rounding.
    assert selection.unfreeze and not any("key.bias" in name for name in selection.unfreeze)
    found = rows(tmp_path)
    dead = [row for name, row in found.items() if ".layer.1" in name]
    assert dead and all(row["rejected"] == "no gradient 4" and row["gain"] == 0 for row in dead)
    assert found["*.key.bias"]["accepted"] == 0


def test_a_layer_that_matters_more_comes_first(tmp_path: Path) -> None:
    """The value of block 0 hardly reaches the output; that of block 1 does."""
    model = Classifier()
    with torch.no_grad():
        model.language.encoder.layer[0].attention.output.dense.weight.mul_(0.05)
    problem = problem_of(model, folder=tmp_path)
    assert {name.split(".")[2] for name in names(select(problem, AdapeftConfig(budget=192)))} == {"1"}
    found = list(rows(tmp_path).values())
    assert [row["chosen"] for row in found] == [True, False]
    assert [row["cumulative_parameters"] for row in found] == [192, 384]


@pytest.mark.parametrize("probes", [1, 3])
def test_passes_and_what_is_said_before(probes: int, capsys: pytest.CaptureFixture[str]) -> None:
    model = Classifier()
    config = AdapeftConfig(budget=LARGE, probes=probes, every=2, warm_up=1, groups=["layer_norms", "biases"])
    select(problem_of(model), config)
    steps, passes = 1 + 2 * (probes - 1), 4 * 4 + 1
    # One training step, a probe on the first batch; two steps, a probe on the second batch; and so on.
    trained = [[0], [1, 2], [3, 0]]
    expected = [number for n in range(probes) for number in [*trained[n], *[n] * (passes + 1)]]
    assert model.seen == expected
    said = capsys.readouterr().err
    assert "4 groups of" in said and f"{probes} probes of {passes} forward passes" in said
    assert f"{probes} backward passes" in said and f"{steps} training steps" in said


def state(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


@pytest.mark.parametrize("failing", [None, 3, 12, 30])
def test_weights_are_what_they_were(failing: int | None) -> None:
    """Also where a forward pass fails, in a probe or in a training step."""
    model = Classifier()
    before, trains = state(model), {n: p.requires_grad for n, p in model.named_parameters()}
    problem = problem_of(model, unfreeze=("layer_norms",))
    loss = problem.loss

    def breaking(batch: object) -> torch.Tensor:
        if len(model.seen) == failing:
            raise RuntimeError("out of memory")
        return loss(batch)

    object.__setattr__(problem, "loss", breaking)
    config = AdapeftConfig(budget=LARGE, groups=["biases", "all"], warm_up=2)
    if failing is None:
        select(problem, config)
    else:
        with pytest.raises(RuntimeError, match="out of memory"):
            select(problem, config)
    assert {name: p.requires_grad for name, p in model.named_parameters()} == trains
    after = state(model)
    assert after.keys() == before.keys() and all(torch.equal(after[name], before[name]) for name in before)
    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_same_choice_whatever_was_drawn_before(tmp_path: Path) -> None:
    config = AdapeftConfig(budget=300, warm_up=2, groups=["layer_norms"])
    chosen = []
    for number in range(2):
        torch.manual_seed(number)
        chosen.append(select(problem_of(Classifier(), folder=tmp_path / str(number)), config))
    assert chosen[0] == chosen[1]
    assert (tmp_path / "0" / "adapeft.json").read_bytes() == (tmp_path / "1" / "adapeft.json").read_bytes()


@pytest.mark.parametrize(
    "keys", [{"direction": "gradient"}, {"step_size": 1e-3}, {"lr": 0.1}, {"warm_up": 1}, {"every": 1}]
)
def test_every_setting_of_the_probes_is_read(keys: dict[str, Any], tmp_path: Path) -> None:
    gains = []
    for name, changed in (("base", {}), ("changed", keys)):
        config = AdapeftConfig(budget=LARGE, groups=["biases"], **changed)
        select(problem_of(Classifier(), folder=tmp_path / name), config)
        gains.append(rows(tmp_path / name)["biases"]["gain"])
    assert gains[0] != pytest.approx(gains[1], rel=1e-4)


def test_the_loss_draws_the_same_numbers_within_a_probe() -> None:
    """Noise in the loss would make every parabola meaningless."""
    model = Classifier()
    problem = problem_of(model)
    loss = problem.loss
    object.__setattr__(problem, "loss", lambda batch: loss(batch) * (1 + torch.rand(())))
    assert names(select(problem, AdapeftConfig(budget=LARGE, groups=["biases"], probes=1)))


def test_every_bottleneck_is_told_where_it_acts(tmp_path: Path) -> None:
    """Without a target of its own a bottleneck would act on all of them."""
    model = Classifier()
    two = {"bottleneck": LORA, "unused": BottleneckConfig("adapter", rank=2, position="parallel")}
    config = AdapeftConfig(budget=300, groups=["layer_norms"])
    selection = select(problem_of(model, two, folder=tmp_path), config)
    chosen = {name for name, row in rows(tmp_path).items() if row["chosen"]}
    assert selection.places.keys() == two.keys()
    for name in two:
        assert bool(selection.places[name]) == any(group.startswith(f"{name}@") for group in chosen)
    assert bool(selection.unfreeze) == ("layer_norms" in chosen)


def test_what_bottlenecks_share_is_in_no_group(tmp_path: Path) -> None:
    """Compacter's shared rule belongs to all of its adapters."""
    compacter = {"bottleneck": BottleneckConfig("compacter", rank=4)}
    problem = problem_of(Classifier(), compacter, folder=tmp_path)
    with problem.attached() as towers:
        trained = towers["language"].trainable_parameters
        (block,) = {
            sum(p.numel() for n, p in b.named_parameters() if "rule" not in n)
            for b in towers["language"].bottlenecks.values()
        }
    select(problem, AdapeftConfig(budget=LARGE))
    sizes = [row["parameters"] for row in rows(tmp_path).values()]
    assert len(sizes) == 2 and sum(sizes) < trained and set(sizes) == {2 * block}  # type: ignore[arg-type]


def test_errors_name_the_remedy() -> None:
    with pytest.raises(ValueError, match=r"select\.budget: 10 is less than the [\d,]+ parameters of '.*give at least"):
        select(problem_of(Classifier()), AdapeftConfig(budget=10))
    with pytest.raises(ValueError, match=r"no probe of any group promises a gain \(no \w+ .*select\.step_size"):
        select(problem_of(Classifier()), AdapeftConfig(budget=LARGE, step_size=1e-12))
    for keys, problem in (
        ({}, "budget, choice"),
        ({"budget": 1, "choice": "x"}, "budget, choice"),
        ({"budget": 1, "groups": ["all", "all"]}, "groups: an entry is there twice"),
    ):
        (found,) = check(AdapeftConfig(**keys))  # type: ignore[arg-type]
        assert str(found).startswith(problem)


def test_what_validation_and_the_doctor_know() -> None:
    config = AdapeftConfig(budget=500, groups=["biases"])
    assert (config.trainable, config.memory(10)) == (500, 0)
    assert AdapeftConfig(budget=500, groups=["all"]).memory(10) == 160
    assert AdapeftConfig(choice="x", groups=["all"]).memory(10) == 0
    assert not config.problems_with({}, ModelConfig(unfreeze=["layer_norms"]))
    for trains in (["biases"], ["all"]):
        (problem,) = config.problems_with({}, ModelConfig(unfreeze=trains))
        assert str(problem).startswith("select.groups, model.unfreeze: 'biases' cannot be chosen")
