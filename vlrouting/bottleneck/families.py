"""Where bottlenecks go: per family of transformers models, module names relative to a block (shell-style patterns).

A block is what a numbered module list holds: `encoder.layer.3` in BERT, `transformer.h.3` in GPT-2.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class SubLayer:
    """A block's attention or MLP: the module that ends it, and its norm (before it or after it, as the family has)."""

    module: str
    norm: str


@dataclass(frozen=True)
class Family:
    """One family's names.

    Attributes:
        roles: role (query, key, value, output, up, down) -> patterns of projections.
        sub_layers: where adapters go.
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
        SubLayer("attention.output.dense", "attention.output.LayerNorm"),
        SubLayer("output.dense", "output.LayerNorm"),
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
    sub_layers=(SubLayer("attn.c_proj", "ln_1"), SubLayer("mlp.c_proj", "ln_2")),
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
        SubLayer("self_attn.out_proj", "self_attn_layer_norm"),
        SubLayer("encoder_attn.out_proj", "encoder_attn_layer_norm"),
        SubLayer("fc2", "final_layer_norm"),
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
        SubLayer("layer.0.SelfAttention.o", "layer.0.layer_norm"),
        SubLayer("layer.1.EncDecAttention.o", "layer.1.layer_norm"),
        # The MLP is layer 1 of an encoder block and layer 2 of a decoder block.
        SubLayer("layer.1.DenseReluDense.wo", "layer.1.layer_norm"),
        SubLayer("layer.2.DenseReluDense.wo", "layer.2.layer_norm"),
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
        SubLayer("self_attn.o_proj", "input_layernorm"),
        SubLayer("mlp.down_proj", "post_attention_layernorm"),
    ),
)

FAMILIES = {
    "bert": BERT,
    "roberta": BERT,
    "gpt2": GPT2,
    "bart": BART,
    "t5": T5,
    "llama": LLAMA,
    "qwen2": LLAMA,
    "qwen3": LLAMA,
}
"""Keyed by `model.config.model_type`."""

ROLES = ("query", "key", "value", "output", "up", "down")
