"""The authors' modules, reproduced: values computed with their released code (tests/fixtures/README.md)."""

from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from vlrouting.bottleneck import BottleneckConfig, Site, Target, attach
from vlrouting.bottleneck.context import ContextSlot, ForwardContext
from vlrouting.bottleneck.kinds.lora import LoRA
from vlrouting.config import LoraConfig
from vlrouting.models.encoder_classifier import answer_head

FIXTURES = Path(__file__).parent.parent / "fixtures"
RANK = 6


def arrays(file: str, prefix: str) -> dict[str, Tensor]:
    stored = np.load(FIXTURES / file)
    return {key[len(prefix) + 1 :]: torch.from_numpy(stored[key]) for key in stored.files if key.startswith(prefix)}


@pytest.mark.parametrize("routing", ["add", "mul", "expand", "gram"])
@pytest.mark.parametrize("layer", ["linear", "fused"])
def test_layers(layer: str, routing: str) -> None:
    a = arrays("reference_layers.npz", f"{layer}.{routing}")
    width = a["x"].shape[-1]
    base: nn.Module = nn.Linear(width, width) if layer == "linear" else Conv1D(3 * width, width)
    base.load_state_dict({"weight": a["weight"], "bias": a["bias"]})
    columns = (range(width),) if layer == "linear" else (range(width), range(2 * width, 3 * width))
    slot = ContextSlot()
    config = LoraConfig(rank=RANK, alpha=12, routing=routing)
    lora = LoRA(config, Site("layer", Target("layer", ("layer",), columns), (base,), base, width, slot))
    lora.load_state_dict({"down.weight": a["A"], "up.weight": a["B"]})
    with slot.holding(ForwardContext(a["v"], {"layer": lora})):
        torch.testing.assert_close(lora(a["x"], base(a["x"])), a["y"], atol=1e-5, rtol=0)


def load_backbone(model: nn.Module, parameters: dict[str, Tensor], strip: str = "") -> None:
    """Give the model the fixture's weights under the names that it has for them."""
    renamed = {
        "lora_A": "bottleneck.down.weight",
        "lora_B": "bottleneck.up.weight",
        "adapter.down_sampler": "bottleneck.down",
        "adapter.up_sampler": "bottleneck.up",
    }
    state = {}
    for key, value in parameters.items():
        name = key.removeprefix("param.").removeprefix(strip)
        for old, new in renamed.items():
            name = name.replace(old, new)
        if not name.startswith("classifier") and "position_ids" not in name:
            state[name] = value
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert (missing, unexpected) == ([], [])


@pytest.mark.parametrize(
    ("prefix", "config"),
    [
        ("gpt2.lora.mul", BottleneckConfig("lora", rank=RANK, alpha=6, routing="mul")),
        ("gpt2.adapter_post_module.add", BottleneckConfig("adapter", rank=RANK, routing="add", shared=True)),
    ],
)
def test_gpt2(prefix: str, config: BottleneckConfig) -> None:
    a = arrays("reference_models.npz", prefix)
    size = {"vocab_size": 50, "n_embd": 24, "n_layer": 2, "n_head": 3, "n_positions": 32}
    model = transformers.GPT2LMHeadModel(transformers.GPT2Config(**size, bos_token_id=0, eos_token_id=1)).eval()
    routed = attach(model, config)
    load_backbone(model, {key: value for key, value in a.items() if key.startswith("param.")})
    embeddings = torch.cat([a["visual"], model.transformer.wte(a["ids"])], dim=1)
    with torch.no_grad(), routed.look_at(a["visual"]):
        logits = model(inputs_embeds=embeddings, attention_mask=a["mask"]).logits
    seen = a["mask"].bool()
    torch.testing.assert_close(logits[seen], a["logits"][seen], atol=1e-5, rtol=0)


def roberta(seed: int = 0) -> transformers.RobertaModel:
    torch.manual_seed(seed)
    size = {"vocab_size": 50, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 3}
    config = transformers.RobertaConfig(
        **size, intermediate_size=48, max_position_embeddings=40, type_vocab_size=1, pad_token_id=1
    )
    return transformers.RobertaModel(config).eval()


def prefixes() -> list[str]:
    keys = np.load(FIXTURES / "reference_models.npz").files
    return sorted({".".join(key.split(".")[:3]) for key in keys})


def test_every_model_of_the_fixture_is_covered() -> None:
    assert prefixes() == ["gpt2.adapter_post_module.add", "gpt2.lora.mul", "roberta.lora.add"]


def test_roberta_with_its_answer_head() -> None:
    a = arrays("reference_models.npz", "roberta.lora.add")
    model = roberta()
    routed = attach(model, BottleneckConfig("lora", rank=RANK, alpha=6, routing="add"))
    load_backbone(model, {key: value for key, value in a.items() if key.startswith("param.")}, strip="roberta.")
    head = answer_head(24, 7)
    head.load_state_dict({k.removeprefix("param.classifier."): v for k, v in a.items() if "classifier" in k})
    with torch.no_grad(), routed.look_at(a["visual"]):
        pooled = model(input_ids=a["ids"], attention_mask=a["mask"]).pooler_output
        torch.testing.assert_close(head(pooled), a["logits"], atol=1e-5, rtol=0)
