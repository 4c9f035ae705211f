"""Several bottlenecks on one model, explicit places, what is unfrozen, masks, rows and images, the vision tower."""

import json
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file
from torch import nn

from tests.tiny_models import WIDTH, images, inputs, tiny
from vlrouting.bottleneck import BottleneckConfig, Routed, Target, attach, load
from vlrouting.bottleneck.context import IMAGE, TEXT
from vlrouting.config import ROUTINGS

SEVERAL = {
    "text": BottleneckConfig("lora", rank=4, routing="mul"),
    "scales": BottleneckConfig("ia3"),
    "after": BottleneckConfig("adapter", rank=3, routing="add", shared=True),
}


@torch.no_grad()
def moved(routed: Routed) -> Routed:
    torch.manual_seed(4)
    for parameter in routed.model.parameters():
        if parameter.requires_grad:
            parameter.add_(torch.randn_like(parameter) * 0.2)
    return routed


@torch.no_grad()
def outputs(routed: Routed, family: str = "gpt2") -> torch.Tensor:
    with routed.look_at(images()):
        return routed.model(**inputs(family))[0]


def test_several_on_one_model_train_save_load_and_come_off(tmp_path: Path) -> None:
    model = tiny("gpt2")
    with torch.no_grad():
        before = model(**inputs("gpt2"))[0]
    routed = attach(model, SEVERAL)
    assert torch.equal(outputs(routed), before)
    assert {key.partition(":")[0] for key in routed.bottlenecks} == set(SEVERAL)
    outputs_after = outputs(moved(routed))
    routed.save(tmp_path)
    again = load(tmp_path, tiny("gpt2"))
    assert torch.equal(outputs(again), outputs_after)
    assert (again.configs, again.places) == (SEVERAL, routed.places)
    with torch.no_grad():
        assert torch.equal(routed.detach()(**inputs("gpt2"))[0], before)


def test_each_of_several_acts_as_it_does_alone() -> None:
    both = moved(attach(tiny("gpt2"), {name: SEVERAL[name] for name in ("text", "scales")}, unfreeze=()))
    alone = attach(tiny("gpt2"), SEVERAL["text"], unfreeze=())
    for key, bottleneck in alone.bottlenecks.items():
        bottleneck.load_state_dict(both.bottlenecks[f"text:{key}"].state_dict())
    with torch.no_grad():
        for key, bottleneck in both.bottlenecks.items():
            if key.startswith("scales:"):
                bottleneck.scale.fill_(1.0)
    assert torch.equal(outputs(both), outputs(alone))


def test_places_override_the_kinds_own_choice_and_an_artifact_attaches_exactly_them(tmp_path: Path) -> None:
    config = BottleneckConfig("lora", rank=4, routing="mul")
    columns = (range(WIDTH, 2 * WIDTH),)  # the keys alone
    places = {"bottleneck": [Target("transformer.h.1.attn.c_attn", ("transformer.h.1.attn.c_attn",), columns)]}
    routed = attach(tiny("gpt2"), config, places=places)
    assert list(routed.bottlenecks) == ["transformer.h.1.attn.c_attn"]
    moved(routed).save(tmp_path)
    assert torch.equal(outputs(load(tmp_path, tiny("gpt2"))), outputs(routed))
    named = attach(tiny("bert"), config, places={"bottleneck": ["encoder.layer.0.attention.self.key"]})
    assert list(named.bottlenecks) == ["encoder.layer.0.attention.self.key"]
    with pytest.raises(ValueError, match=r"places: the model has no module 'transformer\.h\.9"):
        attach(tiny("gpt2"), config, places={"bottleneck": [Target("transformer.h.9", ("transformer.h.9",))]})


def test_an_artifact_of_schema_version_1_still_loads(tmp_path: Path) -> None:
    config = BottleneckConfig("lora", rank=4, routing="mul")
    routed = moved(attach(tiny("bert"), config))
    routed.save(tmp_path)
    file = tmp_path / "adapter_config.json"
    stored = json.loads(file.read_text())
    every_kind = {"alpha": None, "position": "post_module", "shared": False, "residual": True, "train_layer_norm": True}
    bottleneck = {**every_kind, **{k: v for k, v in stored["bottlenecks"]["bottleneck"].items() if k != "tower"}}
    kept = {key: stored[key] for key in ("backbone", "visual_width")}
    file.write_text(json.dumps({"schema_version": 1, **kept, "bottleneck": bottleneck}))
    again = load(tmp_path, tiny("bert"))
    assert torch.equal(outputs(again, "bert"), outputs(routed, "bert")) and again.configs == {"bottleneck": config}


def unfrozen(family: str, what: list[str], config: BottleneckConfig) -> set[str]:
    routed = attach(tiny(family), config, unfreeze=what)
    return {n for n, p in routed.model.named_parameters() if p.requires_grad and "bottleneck" not in n}


def test_what_is_unfrozen() -> None:
    none, lora = BottleneckConfig("none"), BottleneckConfig("lora", rank=2, layers=[1])
    model = tiny("gpt2")
    names = {name for name, _ in model.named_parameters()}
    assert unfrozen("gpt2", [], none) == set()
    assert unfrozen("gpt2", ["all"], none) == names
    assert unfrozen("gpt2", ["biases"], none) == {name for name in names if name.endswith(".bias")}  # BitFit
    norms = {name for name in names if ".ln_1." in name or ".ln_2." in name}
    assert unfrozen("gpt2", ["layer_norms"], none) == norms
    assert unfrozen("gpt2", ["layer_norms"], lora) == {name for name in norms if ".h.1." in name}
    assert unfrozen("gpt2", ["wpe.*", "biases"], none) == {n for n in names if "wpe" in n or n.endswith(".bias")}
    with pytest.raises(ValueError, match=r"unfreeze: 'wpee\.weight' matches no parameter.*wpe\.weight"):
        attach(model, none, unfreeze=["wpee.weight"])


@pytest.mark.parametrize("routing", ROUTINGS)
def test_masked_visual_tokens_are_as_if_they_were_not_there(routing: str) -> None:
    routed = moved(attach(tiny("bert"), BottleneckConfig("lora", rank=4, routing=routing)))
    real, padding = images(visual_tokens=2), torch.full((3, 3, WIDTH), 7.0)
    mask = torch.tensor([[True, True, False, False, False]] * 3)
    with torch.no_grad():
        with routed.look_at(real):
            expected = routed.model(**inputs("bert"))[0]
        with routed.look_at(torch.cat([real, padding], dim=1), mask=mask):
            torch.testing.assert_close(routed.model(**inputs("bert"))[0], expected)


def test_several_rows_find_their_image_by_the_ratio_of_rows_to_images() -> None:
    routed = moved(attach(tiny("bert"), BottleneckConfig("lora", rank=4, routing="mul")))
    ids = inputs("bert", batch=6)
    with torch.no_grad():
        with routed.look_at(images(batch=3).repeat_interleave(2, dim=0)):
            expected = routed.model(**ids)[0]
        with routed.look_at(images(batch=3)):
            torch.testing.assert_close(routed.model(**ids)[0], expected)
        with routed.look_at(images(batch=4)), pytest.raises(ValueError, match="6 rows of text but 4 images"):
            routed.model(**ids)


def test_modality_of_rows_and_of_a_decoding_step() -> None:
    routed = attach(tiny("bert"), BottleneckConfig("lora", rank=4))
    modality = torch.tensor([[IMAGE, TEXT, TEXT], [IMAGE, TEXT, TEXT]])
    with routed.look_at(None, modality=modality, task="vqa") as context:
        assert context.visual is None and context.task == "vqa"
        assert context.modality_for(4, 3).tolist() == [[IMAGE, TEXT, TEXT]] * 4
        assert context.modality_for(4, 1).tolist() == [[TEXT]] * 4


def tiny_vit(separate: bool) -> nn.Module:
    torch.manual_seed(0)
    if separate:  # EVA with query, key and value apart
        return timm.create_model(
            "eva02_tiny_patch14_224", img_size=28, depth=2, embed_dim=24, num_heads=3, num_classes=0, qkv_fused=False
        ).eval()
    return timm.create_model(
        "vit_tiny_patch16_224", img_size=32, depth=2, embed_dim=24, num_heads=3, num_classes=0
    ).eval()


@pytest.mark.parametrize("separate", [False, True])
@pytest.mark.parametrize("kind", ["lora", "adapter", "ia3"])
def test_a_timm_vision_tower(kind: str, separate: bool) -> None:
    model = tiny_vit(separate)
    pixels = torch.randn(2, 3, 28 if separate else 32, 28 if separate else 32)
    with torch.no_grad():
        before = model(pixels)
    keys = {} if kind == "ia3" else {"rank": 4}
    routed = attach(model, BottleneckConfig(kind, tower="vision", **keys))
    with torch.no_grad():
        assert torch.equal(model(pixels), before)
    model(pixels).pow(2).sum().backward()
    first = next(iter(routed.bottlenecks.values()))
    assert all(parameter.grad is not None for parameter in first.parameters())
    per_block = {"lora": 2 if separate else 1, "adapter": 2, "ia3": 3 if separate else 2}[kind]
    assert len(routed.bottlenecks) == 2 * per_block
    with torch.no_grad():
        assert not torch.allclose(moved(routed).model(pixels), before)
        assert torch.equal(routed.detach()(pixels), before)


def test_a_fused_qkv_of_timm_is_adapted_in_its_query_and_value_columns(tmp_path: Path) -> None:
    routed = attach(tiny_vit(separate=False), BottleneckConfig("lora", rank=4, tower="vision"))
    lora = routed.bottlenecks["blocks.0.attn.qkv"]
    assert lora.columns.tolist() == [*range(24), *range(48, 72)]
    moved(routed).save(tmp_path)
    stored = load_file(tmp_path / "adapter_model.safetensors")
    again = load(tmp_path, tiny_vit(separate=False))
    pixels = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(again.model(pixels), routed.model(pixels)) and len(stored) == 2 * (2 + 4)


def test_the_vision_tower_cannot_route() -> None:
    with pytest.raises(ValueError, match="the vision tower has no image features to route by"):
        attach(tiny_vit(separate=False), BottleneckConfig("lora", rank=4, tower="vision", routing="mul"))


def test_a_projection_that_its_model_never_calls_is_refused() -> None:
    model = timm.create_model("eva02_tiny_patch14_224", img_size=28, depth=1, embed_dim=24, num_heads=3)
    with pytest.raises(ValueError, match=r"blocks\.0\.attn\.qkv: EvaAttention reads this layer's weight without"):
        attach(model, BottleneckConfig("lora", rank=4, tower="vision"))
