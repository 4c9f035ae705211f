"""Module names per family of models, relative to a block (shell-style patterns).

A block is what a numbered module list holds: `encoder.layer.3` in BERT, `transformer.h.3` in GPT-2.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal

from torch import nn
from transformers.activations import ACT2FN


@dataclass(frozen=True)
class SubLayer:
    """A block's attention or MLP."""

    module: str
    """Its last module."""
    norm: str
    """Its norm, before or after it, as the family has."""
    entry: str
    """A module that reads the sub-layer's input."""


@dataclass(frozen=True)
class Family:
    """One family's names.

    Attributes:
        roles: role (query, key, value, output, up, down) -> patterns of projections.
        sub_layers: attention and MLP.
        fused: a projection that computes several roles at once -> those roles, in the order of its output columns.
    """

    roles: dict[str, tuple[str, ...]]
    sub_layers: tuple[SubLayer, ...]
    fused: dict[str, tuple[str, ...]] = field(default_factory=dict)


BERT = Family(
    roles={
        "query": ("attention.self.query",),
        "key": ("attention.self.key",),
        "value": ("attention.self.value",),
        "output": ("attention.output.dense",),
        "up": ("intermediate.dense",),
        "down": ("output.dense",),
    },
    sub_layers=(
        SubLayer("attention.output.dense", "attention.output.LayerNorm", "attention.self.query"),
        SubLayer("output.dense", "output.LayerNorm", "intermediate.dense"),
    ),
)

GPT2 = Family(
    roles={
        "query": ("attn.c_attn",),
        "key": ("attn.c_attn",),
        "value": ("attn.c_attn",),
        "output": ("attn.c_proj",),
        "up": ("mlp.c_fc",),
        "down": ("mlp.c_proj",),
    },
    sub_layers=(SubLayer("attn.c_proj", "ln_1", "attn.c_attn"), SubLayer("mlp.c_proj", "ln_2", "mlp.c_fc")),
    fused={"attn.c_attn": ("query", "key", "value")},
)

BART = Family(
    roles={
        "query": ("self_attn.q_proj", "encoder_attn.q_proj"),
        "key": ("self_attn.k_proj", "encoder_attn.k_proj"),
        "value": ("self_attn.v_proj", "encoder_attn.v_proj"),
        "output": ("self_attn.out_proj", "encoder_attn.out_proj"),
        "up": ("fc1",),
        "down": ("fc2",),
    },
    sub_layers=(
        SubLayer("self_attn.out_proj", "self_attn_layer_norm", "self_attn.q_proj"),
        SubLayer("encoder_attn.out_proj", "encoder_attn_layer_norm", "encoder_attn.q_proj"),
        SubLayer("fc2", "final_layer_norm", "fc1"),
    ),
)

T5 = Family(
    roles={
        "query": ("layer.*Attention.q",),
        "key": ("layer.*Attention.k",),
        "value": ("layer.*Attention.v",),
        "output": ("layer.*Attention.o",),
        "up": ("layer.*.DenseReluDense.wi*",),
        "down": ("layer.*.DenseReluDense.wo",),
    },
    sub_layers=(
        SubLayer("layer.0.SelfAttention.o", "layer.0.layer_norm", "layer.0.SelfAttention.q"),
        SubLayer("layer.1.EncDecAttention.o", "layer.1.layer_norm", "layer.1.EncDecAttention.q"),
        # The MLP is layer 1 of an encoder block and layer 2 of a decoder block.
        SubLayer("layer.1.DenseReluDense.wo", "layer.1.layer_norm", "layer.1.DenseReluDense.wi*"),
        SubLayer("layer.2.DenseReluDense.wo", "layer.2.layer_norm", "layer.2.DenseReluDense.wi*"),
    ),
)

LLAMA = Family(
    roles={
        "query": ("self_attn.q_proj",),
        "key": ("self_attn.k_proj",),
        "value": ("self_attn.v_proj",),
        "output": ("self_attn.o_proj",),
        "up": ("mlp.gate_proj", "mlp.up_proj"),
        "down": ("mlp.down_proj",),
    },
    sub_layers=(
        SubLayer("self_attn.o_proj", "input_layernorm", "self_attn.q_proj"),
        SubLayer("mlp.down_proj", "post_attention_layernorm", "mlp.up_proj"),
    ),
)

VIT = Family(
    roles={
        "query": ("*attn.qkv", "*attn.q_proj"),
        "key": ("*attn.qkv", "*attn.k_proj"),
        "value": ("*attn.qkv", "*attn.v_proj"),
        "output": ("*attn.proj",),
        "up": ("*mlp.fc1",),
        "down": ("*mlp.fc2",),
    },
    sub_layers=(SubLayer("*attn.proj", "*norm1", "*attn.q*"), SubLayer("*mlp.fc2", "*norm2", "*mlp.fc1")),
    fused={"*attn.qkv": ("query", "key", "value")},
)
"""Transformers of timm: ViT, DeiT, EVA, Swin, with a fused or separate projections."""

CLIP_VISION = Family(
    roles={
        "query": ("self_attn.q_proj",),
        "key": ("self_attn.k_proj",),
        "value": ("self_attn.v_proj",),
        "output": ("self_attn.out_proj",),
        "up": ("mlp.fc1",),
        "down": ("mlp.fc2",),
    },
    sub_layers=(
        SubLayer("self_attn.out_proj", "layer_norm1", "self_attn.q_proj"),
        SubLayer("mlp.fc2", "layer_norm2", "mlp.fc1"),
    ),
)
"""The vision towers of CLIP and SigLIP in transformers."""

FAMILIES = {
    "bert": BERT,
    "roberta": BERT,
    "gpt2": GPT2,
    "bart": BART,
    "mbart": BART,
    "t5": T5,
    "mt5": T5,
    "clip_vision_model": CLIP_VISION,
    "siglip_vision_model": CLIP_VISION,
    "llama": LLAMA,
    "qwen2": LLAMA,
    "qwen3": LLAMA,
}
"""Keyed by `model.config.model_type`."""

Stream = Literal["encoder", "decoder"]
"""A sequence of an encoder-decoder."""
_READS_THE_ENCODER = ("*.encoder_attn.[kv]_proj", "*.EncDecAttention.[kv]")
"""Projections in the decoder of BART-like and T5-like models whose input is the encoder's output."""

ROLES = ("query", "key", "value", "output", "up", "down")


def family_of(model: nn.Module) -> Family | None:
    """The family of a transformers or timm model; None where the table does not have it."""
    if hasattr(model, "pretrained_cfg"):  # timm
        return VIT if any(name.endswith((".attn.qkv", ".attn.q_proj")) for name, _ in model.named_modules()) else None
    return FAMILIES.get(getattr(getattr(model, "config", None), "model_type", ""))


def generates_with(model: nn.Module, name: str) -> bool:
    """Whether a module reads a sequence of which tokens are generated one after the other: it is in a decoder."""
    config = getattr(model, "config", None)
    if getattr(config, "is_encoder_decoder", False):
        return "decoder" in name.split(".")
    can_generate = getattr(model, "can_generate", None)
    return can_generate is not None and bool(can_generate())


def stream_of(model: nn.Module, name: str) -> Stream:
    """Which sequence a module of the model reads; `encoder` where there is only one."""
    if not getattr(getattr(model, "config", None), "is_encoder_decoder", False) or "decoder" not in name.split("."):
        return "encoder"
    return "encoder" if any(fnmatchcase(name, pattern) for pattern in _READS_THE_ENCODER) else "decoder"


def activation_of(model: nn.Module) -> nn.Module:
    """A new module of the model's own activation function.

    Raises:
        ValueError: it is not known.
    """
    config = getattr(model, "config", None)
    for key in ("hidden_act", "activation_function", "dense_act_fn"):
        if isinstance(getattr(config, key, None), str):
            activation: nn.Module = ACT2FN[getattr(config, key)]
            return activation
    for name, module in model.named_modules():
        if name.endswith("mlp.act"):  # timm
            copied: nn.Module = copy.deepcopy(module)
            return copied
    raise ValueError(f"{type(model).__name__}: the activation function for the adapters is not known")
