"""Tiny backbones with weights of this file's own: libraries change how they initialise from version to version.

The weights are large enough for every image and word to show in the loss, which a fresh model's are not.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from pathlib import Path

import timm
import torch
from safetensors.torch import save_file
from torch import nn
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedModel, RobertaConfig, RobertaModel

from tests.tiny_backbones import SPECIAL, word_tokenizer

WIDTH, LAYERS, HEADS = 32, 2, 4
VIT = {"architecture": "vit_tiny_patch16_224", "num_classes": 0, "model_args": {"depth": 2, "embed_dim": 48}}


def save_backbones(folder: Path, words: Sequence[str]) -> None:
    """`roberta`, `gpt2` (both with a token per word) and `vit`, as folders that a hub could have."""
    vocabulary = len(SPECIAL) + len(words)
    roberta = RobertaConfig(
        vocab_size=vocabulary, hidden_size=WIDTH, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
        intermediate_size=2 * WIDTH, max_position_embeddings=64, type_vocab_size=1,
    )  # fmt: skip
    gpt2 = GPT2Config(
        vocab_size=vocabulary, n_embd=WIDTH, n_layer=LAYERS, n_head=HEADS, n_positions=64, bos_token_id=0,
        eos_token_id=2,
    )  # fmt: skip
    models: dict[str, PreTrainedModel] = {"roberta": RobertaModel(roberta), "gpt2": GPT2LMHeadModel(gpt2)}
    for name, model in models.items():
        set_weights(model)
        model.save_pretrained(folder / name)
        word_tokenizer(words).save_pretrained(folder / name)
    vit = timm.create_model(VIT["architecture"], num_classes=0, img_size=32, **VIT["model_args"])
    set_weights(vit)
    (folder / "vit").mkdir()
    save_file(vit.state_dict(), folder / "vit" / "model.safetensors")
    (folder / "vit" / "config.json").write_text(json.dumps({**VIT, "pretrained_cfg": {"input_size": [3, 32, 32]}}))


@torch.no_grad()
def set_weights(model: nn.Module) -> None:
    """Every parameter from its own name: the order in which a library creates them does not matter."""
    for name, parameter in model.named_parameters():
        drawn = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(zlib.crc32(name.encode())))
        if parameter.dim() < 2:
            parameter.copy_(0.1 * drawn + (1.0 if name.endswith("weight") else 0.0))
        elif "emb" in name or "wte" in name or "wpe" in name:
            parameter.copy_(0.4 * drawn)
        else:
            parameter.copy_(drawn * (parameter.numel() / max(parameter.shape)) ** -0.5)
