"""What `attach` returns: its table, its copies, what it does after it was taken out, wrong arguments; generation."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tests.tiny_models import WIDTH, images, inputs, tiny
from vlrouting.bottleneck import BottleneckConfig, Routed, Target, attach, load

LORA = BottleneckConfig("lora", rank=4, routing="mul")
QUERY = "encoder.layer.0.attention.self.query"


def trained(family: str = "bert", config: BottleneckConfig = LORA) -> Routed:
    torch.manual_seed(3)
    routed = attach(tiny(family), config)
    for bottleneck in routed.bottlenecks.values():
        nn.init.normal_(bottleneck.up.weight, std=0.4)
    return routed


@torch.no_grad()
def output(routed: Routed, family: str = "bert") -> torch.Tensor:
    with routed.look_at(images()):
        return routed.model(**inputs(family))[0]


def test_repr_is_a_table_of_what_was_attached(capsys: pytest.CaptureFixture[str]) -> None:
    routed = attach(tiny("gpt2"), {"text": LORA, "scales": BottleneckConfig("ia3"), "off": BottleneckConfig("none")})
    heading, columns, *rows, last = repr(routed).splitlines()
    assert heading == "Routed(GPT2LMHeadModel)"
    assert columns.split() == ["name", "kind", "routing", "rank", "targets", "parameters"]
    assert [re.split(r"\s{2,}", row.strip()) for row in rows] == [
        ["text", "lora", "mul", "4", "2 x transformer.h.*.attn.c_attn", str(2 * (2 * 4 * WIDTH + 2 * 4 * WIDTH))],
        ["scales", "ia3", "none", "-", "2 x transformer.h.*.attn.c_attn", str(2 * 2 * WIDTH)],
        ["scales", "ia3", "none", "-", "2 x transformer.h.*.mlp.c_proj", str(2 * 4 * WIDTH)],
        ["off", "none", "none", "-", "none", "0"],
        ["unfrozen", "layer_norms", str(2 * 2 * 2 * WIDTH)],
    ]
    total = sum(parameter.numel() for parameter in routed.model.parameters())
    assert last.startswith(f"trainable parameters: {routed.trainable_parameters:,} of {total:,} (")
    routed.print_trainable_parameters()
    assert capsys.readouterr().out == f"{last}\n"
    routed.detach()
    assert repr(routed) == "Routed(GPT2LMHeadModel, detached)"


def test_a_copy_is_detached_and_attached_again_by_itself(tmp_path: Path) -> None:
    routed = trained()
    frozen = tiny("bert")
    before = output(routed)
    twin = copy.deepcopy(routed)
    assert torch.equal(output(twin), before)
    with torch.no_grad():
        assert torch.equal(twin.detach()(**inputs("bert"))[0], frozen(**inputs("bert"))[0])
    again = attach(twin.model, BottleneckConfig("adapter", rank=2, routing="add"))
    again.save(tmp_path)
    assert torch.equal(output(load(tmp_path, tiny("bert"))), output(again))
    assert torch.equal(output(routed), before)
    with pytest.raises(ValueError, match="deep-copy what attach returned"):
        attach(copy.deepcopy(routed.model), LORA)


def test_what_was_taken_out_is_not_used_any_more(tmp_path: Path) -> None:
    routed = trained()
    model = routed.detach()
    for use in (lambda: routed.look_at(images()).__enter__(), lambda: routed.save(tmp_path), routed.merge):
        with pytest.raises(RuntimeError, match=r"(look_at|save|merge): the bottlenecks are detached"):
            use()
    second = attach(model, LORA)
    assert routed.detach() is model and second.bottlenecks  # a second call leaves the new bottlenecks alone
    assert all(parameter.requires_grad for parameter in second.bottlenecks[QUERY].parameters())
    merged = attach(tiny("bert"), BottleneckConfig("lora", rank=4))
    merged.merge()
    for use in (merged.detach, merged.merge, lambda: merged.save(tmp_path)):
        with pytest.raises(RuntimeError, match=r"the bottlenecks are merged into the weights"):
            use()
    assert not list(tmp_path.iterdir())


def test_a_frozen_part_of_a_bottleneck_is_saved_all_the_same(tmp_path: Path) -> None:
    routed = trained()
    for bottleneck in routed.bottlenecks.values():
        bottleneck.down.weight.requires_grad_(False)
    routed.save(tmp_path / "a")
    assert torch.equal(output(load(tmp_path / "a", tiny("bert"))), output(routed))
    routed.model.requires_grad_(False)
    with pytest.raises(ValueError, match=r"LayerNorm\.weight was unfrozen by attach and has requires_grad=False"):
        routed.save(tmp_path / "b")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"model": "bert"}, "model is to be Module, not str"),
        ({"config": "lora"}, "config is to be BottleneckConfig or Mapping, not str"),
        ({"config": {"text": {"kind": "lora"}}}, r"config\['text'\] is to be BottleneckConfig, not dict"),
        ({"places": [QUERY]}, "places is to be Mapping or None, not list"),
        ({"places": {"bottleneck": QUERY}}, r"places\['bottleneck'\] is to be a list of Target or str, not str; write"),
        ({"places": {"bottleneck": [3]}}, r"an entry of places\['bottleneck'\] is to be Target or str, not int"),
        ({"unfreeze": "biases"}, r"unfreeze is to be a list of str, not str; write \['biases'\]"),
        ({"unfreeze": None}, "unfreeze is to be a list of str, not NoneType"),
        ({"visual_width": 2.5}, "visual_width is to be int or None, not float"),
    ],
)
def test_an_argument_of_a_wrong_type_is_named(arguments: dict[str, Any], said: str) -> None:
    given = {"model": tiny("bert"), "config": LORA, **arguments}
    with pytest.raises(TypeError, match=f"^attach: {said}"):
        attach(**given)


@pytest.mark.parametrize(
    ("config", "places", "said"),
    [
        (BottleneckConfig("lora", rank="4"), None, "^rank: expected"),
        (BottleneckConfig("lora", rank=2.5), None, "^rank: expected"),
        (BottleneckConfig("lora", targets="query"), None, "^targets: expected"),
        (LORA, {"text": [QUERY]}, "^places: no bottleneck is called 'text'"),
        (LORA, {"bottleneck": [Target("pooler", ("pooler",))]}, "^pooler: expected a Linear or Conv1D"),
        (LORA, {"bottleneck": [Target(QUERY, ())]}, f"^places: {QUERY} has no base layers"),
        (LORA, {"bottleneck": [Target(QUERY, (QUERY,), (range(20, 30),))]}, "output columns 0 to 24, not 20 to 30"),
    ],
)
def test_wrong_values_leave_the_model_as_it_was(config: BottleneckConfig, places: Any, said: str) -> None:
    model = tiny("bert")
    names = list(model.state_dict())
    with pytest.raises(ValueError, match=said):
        attach(model, config, places=places)
    assert list(model.state_dict()) == names and all(p.requires_grad for p in model.parameters())
    assert not model._forward_pre_hooks and not model.get_submodule(QUERY)._forward_hooks


def test_a_target_without_columns_means_all_of_them() -> None:
    routed = attach(tiny("bert"), LORA, places={"bottleneck": [Target(QUERY, (QUERY,))]})
    assert routed.bottlenecks[QUERY].columns.tolist() == list(range(WIDTH))


@pytest.mark.parametrize(
    "wrong", [{"visual": [1.0]}, {"mask": [True]}, {"modality": 3}, {"task": 7}], ids=lambda wrong: next(iter(wrong))
)
def test_look_at_save_and_load_name_the_argument(wrong: dict[str, Any]) -> None:
    routed = attach(tiny("bert"), LORA)
    with pytest.raises(TypeError, match=f"^look_at: {next(iter(wrong))} is to be"):
        routed.look_at(**{"visual": images(), **wrong}).__enter__()
    with pytest.raises(TypeError, match=r"^save: directory is to be str or Path, not int"):
        routed.save(3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"^load: backbone is to be Module, not str"):
        load("x", "bert")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="has bottlenecks already"):
        attach(routed.model, LORA)


@pytest.mark.parametrize("family", ["gpt2", "llama", "t5", "bart"])
def test_all_beams_and_returned_texts_read_the_one_image_of_their_row(family: str) -> None:
    """As if the image were repeated by hand; and every row gets its own."""
    routed = trained(family, BottleneckConfig("adapter", rank=4, routing="add"))
    ids = {name: tensor for name, tensor in inputs(family).items() if not name.startswith("decoder")}
    options = {"num_beams": 4, "num_return_sequences": 3, "max_new_tokens": 5, "do_sample": False}

    @torch.no_grad()
    def generate(visual: torch.Tensor, rows: slice, **more: Any) -> list[list[int]]:
        given = {name: tensor[rows] for name, tensor in ids.items()}
        with routed.look_at(visual):
            return routed.model.generate(**given, **{**options, **more}).tolist()

    together = generate(images(), slice(None))
    assert len(together) == 9
    for row in range(3):
        alone = generate(images()[row : row + 1], slice(row, row + 1))
        assert together[3 * row : 3 * row + 3] == alone
        if family in ("gpt2", "llama"):  # an encoder reads each text once, so there the repeated images would not fit
            assert alone == generate(images()[row : row + 1].expand(4, -1, -1), slice(row, row + 1))
    sampled = generate(images(), slice(None), num_beams=1, do_sample=True, num_return_sequences=2)
    assert len(sampled) == 6
    with pytest.raises(ValueError, match="rows of text but 5 images; give one image per row"):
        generate(images(batch=5), slice(None))


def test_checkpointing_that_is_reentrant_trains_without_an_image_too() -> None:
    """Nothing that enters the first block needs a gradient here, and its bottlenecks get theirs all the same."""
    routed = trained(config=BottleneckConfig("lora", rank=4))
    routed.model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": True})
    routed.model.disable_input_require_grads()
    routed.model.train()
    with routed.look_at(None):
        routed.model(**inputs("bert"))[0].pow(3).mean().backward()
    assert all(float(b.down.weight.grad.abs().sum()) > 0 for b in routed.bottlenecks.values())
