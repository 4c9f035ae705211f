"""`kind: proto_hyper` (PHA, arXiv 2310.11670) against the released modules, its formula, and what every kind keeps.

`fixtures/seed_systems/pha.npz` holds inputs and outputs of the authors' modules: `gen.*` the hypernetwork, `proto` the
prototypes, `task_idx` the rows' tasks, `up down ub db` [layers, rows, …] what it generates; `mlp.*` the retriever,
`enc enc_mask` -> `retr_z`; `ins_loss` the contrast between queries, times its weight of 0.1.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.tiny_models import WIDTH, images, inputs, tiny
from vlrouting.bottleneck import BottleneckConfig, Routed, attach, load, retriever
from vlrouting.bottleneck.context import IMAGE, PADDING, TEXT
from vlrouting.bottleneck.hypernetwork import Head, HyperNetwork
from vlrouting.bottleneck.kinds.proto_hyper import ProtoHyper
from vlrouting.bottleneck.retriever import Retriever, prototype_contrast, query_contrast
from vlrouting.config import ExperimentConfig, ModelConfig

FIXTURE = Path(__file__).parents[2] / "fixtures" / "seed_systems" / "pha.npz"
TASKS = ("vqa", "captions", "gqa")
FAMILIES = ("bart", "t5")
TOLERANCE = {"atol": 1e-6, "rtol": 1e-6}


@pytest.fixture(scope="module")
def released() -> Mapping[str, Tensor]:
    return {name: torch.from_numpy(array) for name, array in np.load(FIXTURE).items()}


def attached(family: str = "bart", tasks: tuple[str, ...] = TASKS, **keys: Any) -> Routed:
    torch.manual_seed(3)
    return attach(tiny(family), BottleneckConfig("proto_hyper", rank=4, **keys), unfreeze=(), tasks=tasks)


@torch.no_grad()
def moved(routed: Routed, seed: int = 4) -> Routed:
    """Generated adapters that matter, and prototypes as far apart as they are trained to be."""
    torch.manual_seed(seed)
    for bottleneck in routed.bottlenecks.values():
        for parameter in bottleneck.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.05)
    return routed


def run(routed: Routed, family: str = "bart", task: str = "vqa", rows: slice = slice(None)) -> Tensor:
    with routed.look_at(images()[rows], task=task):
        outputs: Tensor = routed.model(**{name: ids[rows] for name, ids in inputs(family).items()})[0]
    return outputs


def first_of(routed: Routed) -> ProtoHyper:
    bottleneck = next(iter(routed.bottlenecks.values()))
    assert isinstance(bottleneck, ProtoHyper)
    return bottleneck


def test_the_released_hypernetwork_generates_the_same(released: Mapping[str, Tensor]) -> None:
    hyper = HyperNetwork(tasks=4, width=64, hidden=128)
    heads = {"up": hyper.head("up", 8, 32), "down": hyper.head("down", 32, 8)}
    names = {"first": "linear1", "second": "linear2", "norm": "LayerNorm"}
    stored = {f"{own}.{part}": f"{name}.{part}" for own, name in names.items() for part in ("weight", "bias")}
    parts = [(head, kind, part) for head in heads for kind in ("weight", "bias") for part in ("weight", "bias")]
    stored |= {f"heads.{head}.{kind}.{part}": f"{kind}_{head}.{part}" for head, kind, part in parts}
    state = {own: released[f"gen.decoder.{name}"] for own, name in stored.items()}
    hyper.load_state_dict({"prototypes": released["proto"], **state})
    for layer, embedding in enumerate(released["gen.layer_embed.weight"]):
        features = hyper(embedding, released["proto"][released["task_idx"]])
        for head, bias in (("up", "ub"), ("down", "db")):
            generated = heads[head](features)
            torch.testing.assert_close(generated.weight.flatten(1), released[head][layer], **TOLERANCE)
            torch.testing.assert_close(generated.bias, released[bias][layer], **TOLERANCE)


def test_the_released_retriever_and_contrast_give_the_same(released: Mapping[str, Tensor]) -> None:
    made = Retriever(32, 64, 128, tasks=4, memory=1)
    names = {"first": "mlp.0", "second": "mlp.2"}
    state = {f"{own}.{part}": released[f"{name}.{part}"] for own, name in names.items() for part in ("weight", "bias")}
    made.load_state_dict({**made.state_dict(), **state})
    queries = made(released["enc"], released["enc_mask"].bool())
    torch.testing.assert_close(queries, released["retr_z"], **TOLERANCE)
    loss = 0.1 * query_contrast(queries, released["task_idx"], queries.new_zeros(0, 64), 0.1)
    torch.testing.assert_close(loss, released["ins_loss"], **TOLERANCE)
    assert loss.item() == pytest.approx(0.186325, abs=1e-6)


def cosine(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True)) / math.hypot(*a) / math.hypot(*b)


def test_the_contrast_with_prototypes_leaves_the_right_one_out_of_the_sum() -> None:
    generator = torch.Generator().manual_seed(0)
    queries, prototypes = (torch.randn(n, 5, dtype=torch.float64, generator=generator) for n in (4, 3))
    tasks = torch.tensor([2, 0, 2, 1])
    expected = 0.0
    for query, task in zip(queries.tolist(), tasks.tolist(), strict=True):
        scores = [cosine(query, prototype) / 0.3 for prototype in prototypes.tolist()]
        others = sum(math.exp(score) for number, score in enumerate(scores) if number != task)
        expected += (math.log(others) - scores[task]) / 4
    assert float(prototype_contrast(queries, tasks, prototypes, 0.3)) == pytest.approx(expected, rel=1e-12)


def test_remembered_queries_are_rows_of_other_tasks_and_no_anchors() -> None:
    """As if they were rows of the batch, of tasks whose own rows have no part in the mean."""
    generator = torch.Generator().manual_seed(0)
    queries, others = (torch.randn(n, 5, dtype=torch.float64, generator=generator) for n in (3, 2))
    empty = torch.zeros(4, 5, dtype=torch.float64)
    tasks = torch.zeros(3, dtype=torch.long)
    found = query_contrast(queries, tasks, torch.cat([empty, others]), 0.2)
    # Each of the others has a task of its own, so that it has no partner and is no anchor.
    as_rows = query_contrast(torch.cat([queries, others]), torch.tensor([0, 0, 0, 1, 2]), empty[:0], 0.2)
    torch.testing.assert_close(found, as_rows)
    alone = query_contrast(queries[:1], tasks[:1], others, 0.2)
    assert float(alone) == 0  # a row without a partner


ROUTED = ({}, {"routing": "mul"}, {"routing": "mul", "shared_down": False})


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("keys", ROUTED, ids=str)
@torch.no_grad()
def test_what_a_sub_layer_gives_is_the_formula(family: str, keys: dict[str, Any]) -> None:
    routed = moved(attached(family, **keys))
    bottleneck, seen = first_of(routed), {}
    entry, last = (routed.model.get_submodule(layer) for layer in bottleneck.target.base_layers)
    entry.register_forward_pre_hook(lambda _module, args: seen.update(read=args[0]))
    last.register_forward_hook(lambda _module, _args, out: seen.update(given=out))  # after the adapter's own hook
    run(routed, family, "gqa")
    hyper = bottleneck.hypernetwork
    z = torch.relu(hyper.first(torch.cat([hyper.prototypes[2], bottleneck.layer])))
    z = hyper.norm(hyper.second(z))
    made = {name: (head.weight(z).view(head.inputs, head.outputs), head.bias(z)) for name, head in hyper.heads.items()}
    text = seen["read"] @ made["down"][0] + made["down"][1]
    if "routing" in keys:
        weight, bias = made["down" if "shared_down" not in keys else "image_down"]
        text = text * (images() @ weight + bias).mean(dim=1, keepdim=True)
    update = torch.relu(text) @ made["up"][0] + made["up"][1]
    assert update.abs().max() > 0.01
    routed.detach()
    activation = torch.relu if family == "t5" else torch.nn.functional.gelu
    torch.testing.assert_close(seen["given"], last(activation(entry(seen["read"]))) + update)


@pytest.mark.parametrize("family", FAMILIES)
@torch.no_grad()
def test_the_model_starts_near_the_frozen_one(family: str) -> None:
    routed = attached(family)
    found = run(routed, family)
    for head, fan in ((first_of(routed).hypernetwork.heads[name], fan) for name, fan in (("down", WIDTH), ("up", 4))):
        for layer, of in ((head.weight, fan), (head.bias, 1)):
            bound = 1e-3 * math.sqrt(3 / (64 * of))
            assert 0.9 * bound < layer.weight.abs().max() <= bound and not layer.bias.any()
    frozen = routed.detach()(**inputs(family))[0]
    assert 0 < (found - frozen).norm() < 0.01 * frozen.norm()


@pytest.mark.parametrize("inference", ["task", "retrieval"])
def test_adapters_are_generated_once_per_task_and_pass(inference: str, monkeypatch: pytest.MonkeyPatch) -> None:
    routed = moved(attached(routing="mul", inference=inference))
    made: list[int] = []
    forward = Head.forward

    def counted(self: Head, features: Tensor, order: Tensor | None) -> Any:
        made.append(len(features))
        return forward(self, features, order)

    monkeypatch.setattr(Head, "forward", counted)
    routed.model.train()
    run(routed)
    assert made == [1] * 2 * len(routed.bottlenecks)  # down and up, for three rows and for the image
    routed.model.eval()
    made.clear()
    with torch.no_grad(), routed.look_at(images(), task="gqa"):
        routed.model.generate(input_ids=inputs("bart")["input_ids"], num_beams=3, max_new_tokens=5)  # type: ignore
    assert len(made) == 2 * len(routed.bottlenecks) and max(made) <= len(TASKS)


def apart(routed: Routed, ids: dict[str, Tensor]) -> list[str]:
    """Prototypes that are each near to the query of one row; the tasks of the three rows."""
    bottleneck, choice = first_of(routed), first_of(routed).choice
    queries: list[Tensor] = []
    with torch.enable_grad(), routed.look_at(images(), task="vqa"):
        routed.model(**ids)
        found = choice._queries.take()
        assert found is not None
        queries = list(found[0].detach())
    order = [2, 0, 1]
    mean = torch.stack(queries).mean(dim=0)
    for query, task in zip(queries, order, strict=True):
        bottleneck.hypernetwork.prototypes.data[task] = (query - mean) * 100
    assert choice.retriever is not None
    with torch.no_grad():
        choice.retriever.second.bias -= mean
    return [TASKS[task] for task in order]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("query", ["text", "image"])
@torch.no_grad()
def test_every_row_gets_the_adapters_of_the_task_that_it_retrieves(family: str, query: str) -> None:
    routed = moved(attached(family, routing="mul", inference="retrieval", query=query))
    tasks = apart(routed, inputs(family))
    found = run(routed, family, "captions")
    expected = moved(attached(family, routing="mul", query=query))
    expected.model.load_state_dict(routed.model.state_dict())
    for row, task in enumerate(tasks):
        of_row = slice(row, row + 1)
        torch.testing.assert_close(found[of_row], run(expected, family, task, of_row), atol=1e-5, rtol=1e-5)
        others = (run(expected, family, other, of_row) for other in TASKS if other != task)
        assert all((found[of_row] - other).abs().max() > 1e-3 for other in others)
    routed.model.train()  # dropout is 0
    assert torch.equal(run(routed, family, "captions"), run(expected, family, "captions"))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    "keys", [{}, {"inference": "retrieval"}, {"inference": "retrieval", "query": "image"}], ids=str
)
@torch.no_grad()
def test_beams_of_a_batch_are_those_of_its_examples_with_and_without_cache(family: str, keys: dict[str, str]) -> None:
    routed = moved(attached(family, routing="mul", **keys), seed=6)
    if keys:
        apart(routed, inputs(family))
    ids = inputs(family)["input_ids"]

    def generated(rows: slice, beams: int = 3, **more: Any) -> list[list[int]]:
        options = {"max_new_tokens": 5, "do_sample": False, "pad_token_id": 1, "eos_token_id": 49, **more}
        with routed.look_at(images()[rows], task="gqa"):
            found = routed.model.generate(input_ids=ids[rows], num_beams=beams, **options)  # type: ignore[operator]
        return [row[: row.index(49)] if 49 in row else row for row in found.tolist()]

    whole = generated(slice(None))
    assert whole == [row for n in range(3) for row in generated(slice(n, n + 1))]
    assert whole == generated(slice(None), use_cache=False)
    assert generated(slice(None), 1) == generated(slice(None), 1, use_cache=False)


def test_the_losses_of_a_step_and_what_is_remembered_of_it() -> None:
    routed = attached(memory=4)
    bottleneck, choice = first_of(routed), first_of(routed).choice
    made = choice.retriever
    assert made is not None
    losses, queries = [], []
    for task in ("vqa", "vqa", "gqa", "vqa"):
        run(routed, task=task)
        assert choice._queries.found is not None
        queries.append(choice._queries.found[0].detach())
        loss = routed.auxiliary_loss()
        assert loss is not None and routed.auxiliary_loss() is None
        losses.append(loss)
    prototypes = bottleneck.hypernetwork.prototypes
    zeros, twos = torch.zeros(3, dtype=torch.long), torch.full((3,), 2)
    first = prototype_contrast(queries[0], zeros, prototypes, 0.1)
    torch.testing.assert_close(losses[0], 0.1 * first)  # nothing to contrast yet
    torch.testing.assert_close(losses[1], losses[0])
    remembered = torch.cat(queries[:2])[-4:]
    third = prototype_contrast(queries[2], twos, prototypes, 0.1) + query_contrast(queries[2], twos, remembered, 0.1)
    torch.testing.assert_close(losses[2], 0.1 * third)
    torch.testing.assert_close(losses[3], 0.1 * (first + query_contrast(queries[3], zeros, queries[2], 0.1)))
    losses[3].backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in made.parameters())
    assert prototypes.grad is not None and bool((prototypes.grad.abs().sum(dim=1) > 0).all())
    with torch.no_grad():
        run(routed)
    assert routed.auxiliary_loss() is None


def test_the_contrast_trains_the_encoders_adapters_and_the_image_query_the_image() -> None:
    encoder = BottleneckConfig("adapter", rank=4, position="parallel", targets=["encoder.layers.*.fc2"])
    configs = {"encoder": encoder, "decoder": BottleneckConfig("proto_hyper", rank=4)}
    routed = attach(tiny("bart"), configs, unfreeze=(), tasks=TASKS)
    run(routed)
    loss = routed.auxiliary_loss()
    assert loss is not None
    loss.backward()
    (up,) = (
        p for name, p in routed.model.named_parameters() if "encoder.layers.1.fc2.bottleneck_encoder.up.weight" in name
    )
    assert up.grad is not None and up.grad.abs().sum() > 0
    routed, visual = attached(query="image"), images().requires_grad_()
    with routed.look_at(visual, task="vqa"):
        routed.model(**inputs("bart"))
    loss = routed.auxiliary_loss()
    assert loss is not None
    loss.backward()
    assert visual.grad is not None and visual.grad.abs().sum() > 0


def test_the_query_is_the_mean_over_the_text_without_image_and_padding() -> None:
    routed = attached()
    choice = first_of(routed).choice
    modality = torch.tensor([[IMAGE, IMAGE, TEXT, TEXT, TEXT, TEXT], [IMAGE, TEXT, TEXT, PADDING, PADDING, PADDING]])
    ids = {name: each[:2] for name, each in inputs("bart").items()}
    with routed.look_at(None, modality=modality, task="vqa"):
        states = routed.model(**ids).encoder_last_hidden_state
    assert choice._queries.found is not None and choice.retriever is not None
    expected = [choice.retriever(states[:1, 2:]), choice.retriever(states[1:, 1:3])]
    torch.testing.assert_close(choice._queries.found[0], torch.cat(expected))


class TwoProcesses:
    """`torch.distributed` as one of two processes sees it, whose other one has these queries."""

    def __init__(self, rank: int, other: Tensor) -> None:
        self.rank, self.other = rank, other
        self.is_available = self.is_initialized = lambda: True
        self.get_world_size, self.get_rank = lambda: 2, lambda: rank

    def all_gather(self, parts: list[Tensor], own: Tensor) -> None:
        parts[self.rank].copy_(own)
        parts[1 - self.rank].copy_(self.other)


def test_two_processes_have_the_loss_the_gradients_and_the_memory_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    states, prototypes = torch.randn(6, 2, WIDTH), torch.randn(2, 8)
    before = torch.nn.functional.normalize(torch.randn(2, 4, 8), dim=2)

    def step(rows: Tensor, distributed: Any = None) -> tuple[Tensor, list[Tensor], Tensor]:
        torch.manual_seed(1)
        made = Retriever(WIDTH, 8, 16, tasks=2, memory=4)
        made.memory.copy_(before)
        if distributed is not None:
            monkeypatch.setattr(retriever, "distributed", distributed)
        loss = made.loss(made(rows), 1, prototypes, 0.1)
        monkeypatch.undo()
        loss.backward()
        return loss.detach(), [p.grad for p in made.parameters() if p.grad is not None], made.memory

    torch.manual_seed(1)
    queries = Retriever(WIDTH, 8, 16, tasks=2, memory=4)(states).detach()
    loss, gradients, memory = step(states)
    shares = [states[rank::2] for rank in (0, 1)]  # as batches are shared
    parts = [step(shares[rank], TwoProcesses(rank, queries[1 - rank :: 2])) for rank in (0, 1)]
    torch.testing.assert_close(torch.stack([part[0] for part in parts]).mean(), loss)
    for whole, *own in zip(gradients, parts[0][1], parts[1][1], strict=True):
        torch.testing.assert_close(torch.stack(own).mean(dim=0), whole)
    for part in parts:
        torch.testing.assert_close(part[2], memory)
    assert not torch.equal(memory, before)


@pytest.mark.parametrize("reentrant", [False, True])
def test_gradients_with_checkpointing(reentrant: bool) -> None:
    gradients = []
    for checkpointing in (False, True):
        routed = moved(attached(routing="mul"))
        if checkpointing:
            routed.model.gradient_checkpointing_enable({"use_reentrant": reentrant})  # type: ignore[operator]
            for module in routed.model.modules():
                module.training = getattr(module, "gradient_checkpointing", False)
        for task in ("vqa", "gqa"):
            loss = run(routed, task=task).pow(2).mean()
            added = routed.auxiliary_loss()
            assert added is not None
            (loss + added).backward()
        gradients.append([p.grad for p in routed.model.parameters() if p.requires_grad])
    for plain, recomputed in zip(*gradients, strict=True):
        torch.testing.assert_close(recomputed, plain)
        assert plain.abs().max() > 0


@torch.no_grad()
def test_saved_loaded_copied_and_detached(tmp_path: Path) -> None:
    routed = moved(attached(routing="mul", inference="retrieval"))
    frozen = tiny("bart")(**inputs("bart"))[0]
    apart(routed, inputs("bart"))
    with torch.enable_grad():
        run(routed)
        assert routed.auxiliary_loss() is not None
        run(routed)  # a copy does not need its graph
    expected = run(routed)
    routed.save(tmp_path)
    again, twin = load(tmp_path, tiny("bart")), copy.deepcopy(routed)
    memories = [each.choice.retriever.memory for each in map(first_of, (routed, again))]  # type: ignore[union-attr]
    assert torch.equal(*memories) and memories[0].any()
    for each in (again, twin):
        assert torch.equal(run(each), expected)
    moved(twin, seed=8)
    assert not torch.allclose(run(twin), expected, atol=1e-3) and torch.equal(run(routed), expected)
    assert torch.equal(routed.detach()(**inputs("bart"))[0], frozen)


def test_frozen_weights_in_bfloat16() -> None:
    routed = attach(tiny("bart").bfloat16(), BottleneckConfig("proto_hyper", rank=4, routing="mul"), tasks=TASKS)
    for mixed in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=mixed):
            for task in TASKS[:2]:
                with routed.look_at(images().bfloat16(), task=task):
                    out = routed.model(**inputs("bart"))[0]
                added = routed.auxiliary_loss()
                assert out.dtype == torch.bfloat16 and added is not None and added.dtype == torch.float32
                (out.float().pow(2).mean() + added).backward()
    for bottleneck in routed.bottlenecks.values():
        for name, parameter in bottleneck.named_parameters():
            assert parameter.dtype == torch.float32 and parameter.grad is not None, name
            assert torch.isfinite(parameter.grad).all(), name


def test_the_trace_gives_the_update() -> None:
    routed = moved(attached(routing="mul", inference="retrieval"))
    apart(routed, inputs("bart"))
    bottleneck = first_of(routed)
    traces, updates = [], []
    bottleneck.down.register_forward_hook(lambda _module, _args, out: traces.append(bottleneck.trace(out)))
    bottleneck.up.register_forward_hook(lambda _module, _args, out: updates.append(out))
    with torch.no_grad():
        run(routed)
    torch.testing.assert_close(traces[0].update, updates[-1])
    assert traces[0].image is not None and traces[0].image.shape == (3, 4)
    assert not torch.allclose(traces[0].plain, traces[0].update)
    assert bottleneck.down._current.generated is None  # of the pass, and so gone with it


@pytest.mark.parametrize("keys", [{"tasks": ("only",)}, {"contrast": 0}], ids=str)
@pytest.mark.parametrize("family", ["bart", "gpt2", "bert"])
def test_without_anything_to_contrast_there_is_no_retriever(family: str, keys: dict[str, Any]) -> None:
    routed = attached(family, **keys)
    task = routed.tasks[-1]
    run(routed, family, task).pow(2).mean().backward()
    assert first_of(routed).choice.retriever is None and routed.auxiliary_loss() is None
    assert all(p.grad is not None for p in routed.model.parameters() if p.requires_grad)
    assert routed.trainable_parameters == attach(
        tiny(family).to("meta"), BottleneckConfig("proto_hyper", rank=4), unfreeze=(), tasks=("only",)
    ).trainable_parameters + 64 * (len(routed.tasks) - 1)


def test_a_decoder_alone_can_retrieve_by_the_image() -> None:
    routed = moved(attached("gpt2", query="image", inference="retrieval", routing="mul"))
    tasks = apart(routed, inputs("gpt2"))
    expected = attached("gpt2", query="image", routing="mul")
    expected.model.load_state_dict(routed.model.state_dict())
    with torch.no_grad():
        found = run(routed, "gpt2")
        for row, task in enumerate(tasks):
            of_row = slice(row, row + 1)
            torch.testing.assert_close(found[of_row], run(expected, "gpt2", task, of_row), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(
    ("family", "keys", "message"),
    [
        ("gpt2", {}, "c_proj: with query: text the retriever reads what an encoder gives, .* set query: image"),
        ("bert", {}, "is in no decoder behind one; set query: image, or contrast: 0"),
        ("bart", {"targets": ["encoder.layers.*.fc2"]}, "encoder.layers.0.fc2: with query: text .* decoder"),
        (
            "bart",
            {"targets": ["decoder.layers.0.fc1", "decoder.layers.0.fc2"]},
            "one head generates .* 4 x 48 and 4 x 24",
        ),
        ("bart", {"per_task": True}, "per_task: a hypernetwork generates an adapter for each task already; set false"),
        ("bart", {"contrast": 0, "inference": "retrieval"}, "contrast: 0 trains no retriever; set inference: task"),
        ("bart", {"contrast": 0, "memory": 8}, "memory, contrast: has no effect without a retriever"),
        ("bart", {"tower": "vision"}, "tower, contrast: the vision tower runs before .*; set contrast: 0"),
        ("bart", {"temperature": 0}, "temperature: 0 is not above 0"),
        ("bart", {"tasks": ()}, "kind: proto_hyper: no tasks are given"),
    ],
)
def test_what_cannot_be_attached(family: str, keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        attached(family, **keys)


def test_a_pass_that_does_not_know_the_task_or_the_query_is_an_error() -> None:
    with pytest.raises(RuntimeError, match=r"kind: proto_hyper has to know the task; .*task='vqa'"):
        attached().model(**inputs("bart"))
    with pytest.raises(ValueError, match="look_at: task is 'nlvr'"):
        run(attached(), task="nlvr")
    routed = attached(query="image")
    with pytest.raises(RuntimeError, match="query: image needs an image"), routed.look_at(None, task="vqa"):
        routed.model(**inputs("bart"))
    routed = attached(inference="retrieval")
    encoded = routed.model.get_encoder()(inputs("bart")["input_ids"])  # type: ignore[operator]
    ids = {"decoder_input_ids": inputs("bart")["decoder_input_ids"], "encoder_outputs": encoded}
    with pytest.raises(RuntimeError, match="run the whole model there"), routed.look_at(None, task="vqa"):
        routed.model(**ids)


def test_an_image_query_needs_an_image() -> None:
    decoder = BottleneckConfig("proto_hyper", query="image")
    point = ExperimentConfig(bottlenecks={"decoder": decoder}, model=ModelConfig(visual_input="none"))
    keys = ("model.visual_input", "bottlenecks.decoder.query")
    (problem,) = [each for each in point.problems() if each.keys == keys]
    assert str(problem).endswith("none leaves the query no image; set bottlenecks.decoder.query: text")
