"""`per_task`: a bottleneck for each task behind every target, chosen by the task of the forward pass."""

from __future__ import annotations

import copy
import re
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.tiny_models import WIDTH, images, inputs, tiny
from vlrouting.bottleneck import BottleneckConfig, Routed, attach, load
from vlrouting.bottleneck.artifact import trained_tensors

TASKS = ("vqa", "captions", "gqa")
HALVES = ({}, {"shared_down_per_task": True}, {"shared_up_per_task": True})
CASES = [
    *(("gpt2", {"kind": "lora", "rank": 4, "routing": "mul", **half}) for half in HALVES),
    ("bert", {"kind": "lora", "rank": 4, "routing": "gram", "shared_down": False, "shared_down_per_task": True}),
    ("gpt2", {"kind": "dora", "rank": 4, "routing": "add", "shared_down_per_task": True}),
    ("bert", {"kind": "adapter", "rank": 4, "routing": "add", "shared_up_per_task": True}),
    ("gpt2", {"kind": "adapter", "rank": 4, "routing": "mul", "shared": True}),
    ("bart", {"kind": "adapter", "rank": 4, "routing": "mul", "position": "parallel"}),
    ("bert", {"kind": "ia3"}),
    ("gpt2", {"kind": "vera", "rank": 4, "routing": "mul", "shared_up_per_task": True}),
    ("bert", {"kind": "compacter", "rank": 4, "routing": "add", "shared_down_per_task": True, "shared_rule": False}),
    ("bert", {"kind": "compacter", "rank": 4, "routing": "add"}),
    ("bart", {"kind": "vl_pet", "rank": 4, "routing": "mul", "granularity": "middleY"}),
    ("gpt2", {"kind": "genft", "rank": 4, "layer_rank": 2, "routing": "mul", "final_activation": "identity"}),
]
CASE = pytest.mark.parametrize(("family", "keys"), CASES)
LORA = BottleneckConfig("lora", rank=4, routing="mul", per_task=True)


def attached(family: str, keys: dict[str, object], tasks: tuple[str, ...] = TASKS) -> Routed:
    return attach(tiny(family), BottleneckConfig(per_task=True, **keys), unfreeze=(), tasks=tasks)  # type: ignore[arg-type]


@torch.no_grad()
def moved(routed: Routed) -> Routed:
    torch.manual_seed(4)
    for parameter in routed.model.parameters():
        if parameter.requires_grad:
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return routed


def run(routed: Routed, family: str, task: str) -> Tensor:
    with routed.look_at(images(), task=task):
        outputs: Tensor = routed.model(**inputs(family))[0]
    return outputs


@torch.no_grad()
def outputs(routed: Routed, family: str, task: str) -> Tensor:
    return run(routed, family, task)


@CASE
def test_every_task_has_the_outputs_of_its_own_bottlenecks_alone(family: str, keys: dict[str, object]) -> None:
    with torch.no_grad():
        frozen = tiny(family)(**inputs(family))[0]
    routed = attached(family, keys)
    assert keys["kind"] == "genft" or all(torch.equal(outputs(routed, family, task), frozen) for task in TASKS)
    moved(routed)
    found = [outputs(routed, family, task) for task in TASKS]
    assert not any(torch.allclose(found[n], found[n - 1], atol=1e-3) for n in range(3))
    for task, expected in zip(TASKS, found, strict=True):
        alone = attached(family, keys, (task,))
        for key, bottleneck in alone.bottlenecks.items():
            bottleneck.load_state_dict(routed.bottlenecks[key].state_dict())
        assert torch.equal(outputs(alone, family, task), expected)


@CASE
def test_a_step_trains_the_tasks_own_set_and_leaves_the_others_as_they_are(
    family: str, keys: dict[str, object]
) -> None:
    routed = moved(attached(family, keys))
    optimizer = torch.optim.AdamW([p for p in routed.model.parameters() if p.requires_grad], lr=0.1, weight_decay=0.5)
    own = {id(p) for b in routed.bottlenecks.values() if b.task == "captions" for p in b.parameters()}
    others = {id(p) for b in routed.bottlenecks.values() if b.task != "captions" for p in b.parameters()}
    assert own.isdisjoint(others) == (not any(key.endswith("_per_task") for key in keys))
    for _ in range(2):  # the second step has optimizer states, and gradients that were set to None
        before = {name: p.detach().clone() for name, p in routed.model.named_parameters()}
        optimizer.zero_grad()
        run(routed, family, "captions").pow(2).sum().backward()
        optimizer.step()
        for name, parameter in routed.model.named_parameters():
            assert torch.equal(parameter, before[name]) == (id(parameter) not in own), name
            assert (parameter.grad is None) == (id(parameter) not in own), name


@CASE
def test_saved_loaded_copied_and_detached(family: str, keys: dict[str, object], tmp_path: Path) -> None:
    routed = moved(attached(family, keys))
    expected = [outputs(routed, family, task) for task in TASKS]
    routed.save(tmp_path)
    again, twin = load(tmp_path, tiny(family)), copy.deepcopy(routed)
    assert again.tasks == TASKS
    for each in (again, twin):
        assert all(torch.equal(outputs(each, family, task), e) for task, e in zip(TASKS, expected, strict=True))
    with torch.no_grad():
        for parameter in twin.model.parameters():
            parameter.zero_()
        assert torch.equal(outputs(routed, family, "vqa"), expected[0])
        assert torch.equal(routed.detach()(**inputs(family))[0], tiny(family)(**inputs(family))[0])


R, D = 4, WIDTH
UP, DOWN = 2 * 2 * R * D, 2 * 2 * R * D  # two blocks, query and value


@pytest.mark.parametrize(
    ("half", "count"),
    [
        ({}, 3 * UP + 3 * DOWN),
        ({"shared_down_per_task": True}, 3 * UP + DOWN),
        ({"shared_up_per_task": True}, UP + 3 * DOWN),
    ],
)
@pytest.mark.parametrize("family", ["bert", "gpt2"])
def test_shared_halves_count_and_are_saved_once(family: str, half: dict[str, bool], count: int) -> None:
    routed = attached(family, {"kind": "lora", "rank": R, "routing": "mul", **half})
    assert routed.trainable_parameters == count
    assert sum(tensor.numel() for tensor in trained_tensors(routed.model).values()) == count
    of_a_line = f"{count if family == 'gpt2' else count // 2:,}"
    assert re.search(rf"per task \(vqa, captions, gqa\) +{of_a_line}\n", repr(routed))


def test_the_image_is_projected_for_the_bottlenecks_of_the_task_only() -> None:
    configs = {"own": LORA, "all": BottleneckConfig("adapter", rank=4, routing="add")}
    routed = attach(tiny("bert"), configs, tasks=TASKS)
    with routed.look_at(images(), task="gqa") as context:
        assert {key.rpartition("@")[2] if "@" in key else "every" for key in context.projected} == {"gqa", "every"}
        assert len(context.projected) == 2 * 2 + 2 * 2


@pytest.mark.parametrize("reentrant", [False, True])
def test_recomputed_blocks_have_the_gradients_of_their_task(reentrant: bool) -> None:
    gradients = []
    for checkpointing in (False, True):
        routed = moved(attached("gpt2", {"kind": "lora", "rank": 4, "routing": "mul", "shared_down_per_task": True}))
        if checkpointing:
            routed.model.gradient_checkpointing_enable({"use_reentrant": reentrant})  # type: ignore[operator]
            for module in routed.model.modules():
                module.training = getattr(module, "gradient_checkpointing", False)  # without dropout
        run(routed, "gpt2", "vqa").pow(2).sum().backward()
        gradients.append([p.grad for p in routed.model.parameters() if p.requires_grad])
    for plain, recomputed in zip(*gradients, strict=True):
        assert (plain is None) == (recomputed is None)
        torch.testing.assert_close(recomputed, plain)


def test_a_pass_without_a_task_of_the_bottlenecks_is_an_error() -> None:
    routed = attach(tiny("bert"), LORA, tasks=TASKS)
    for task in (None, "nlvr2"):
        with pytest.raises(ValueError, match=rf"look_at: task is {task!r}; there are bottlenecks for 'vqa', 'cap"):
            run(routed, "bert", task)  # type: ignore[arg-type]
    with pytest.raises(RuntimeError, match=r"self\.query@vqa: .* per task .*look_at\(visual, task='vqa'\)"):
        routed.model(**inputs("bert"))
    with pytest.raises(ValueError, match=r"query@vqa: there is a bottleneck per task, and one weight"):
        attach(tiny("bert"), BottleneckConfig("lora", rank=4, per_task=True), tasks=TASKS).merge()


@pytest.mark.parametrize(
    ("config", "tasks", "message"),
    [
        (LORA, (), r"per_task: no tasks are given; name them"),
        (LORA, ("a", "a"), r"tasks: 'a' is given twice"),
        (LORA, ("a.b",), r"tasks: 'a\.b' .* has a dot"),
        (BottleneckConfig("lora", shared_down_per_task=True), TASKS, r"shared_down_per_task.*has no effect without"),
        (
            BottleneckConfig("lora", per_task=True, shared_down_per_task=True, shared_up_per_task=True),
            TASKS,
            r"sharing both projections leaves nothing",
        ),
        (BottleneckConfig("none", per_task=True), TASKS, r"per_task: kind: none attaches nothing"),
    ],
)
def test_what_cannot_be_attached(config: BottleneckConfig, tasks: tuple[str, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        attach(tiny("bert"), config, tasks=tasks)


def test_tasks_without_per_task_change_nothing() -> None:
    routed = attach(tiny("bert"), BottleneckConfig("lora", rank=4), tasks=TASKS)
    assert routed.tasks == () and "tasks" not in routed.attached()
    assert next(iter(routed.bottlenecks)) == "encoder.layer.0.attention.self.query"
