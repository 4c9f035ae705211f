"""Context-PEFT's published numbers of trainable parameters (arXiv 2312.08900), at the size of the authors' model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from transformers import GlmConfig, LlamaConfig, PretrainedConfig

from tests.command_line import REPOSITORY
from vlrouting.experiment import load
from vlrouting.parameters import experiment_parameters

SHAPE: dict[str, Any] = {
    "vocab_size": 32000,
    "hidden_size": 768,
    "intermediate_size": 3072,
    "num_hidden_layers": 12,
    "num_attention_heads": 12,
    "num_key_value_heads": 12,
    "head_dim": 64,
    "pad_token_id": 0,
}
IA3, BITFIT, LORA = 55_296, 119_808, 202_752
"""Without contexts; LoRA for each unit of its rank. With the two contexts they are twice as many."""


def saved(config: PretrainedConfig, folder: Path) -> str:
    config.save_pretrained(folder)
    return str(folder)


def bottleneck_parameters(experiment: Any) -> dict[str, int]:
    return {each.name: sum(each.counts.bottlenecks.values()) for each in experiment_parameters(experiment.points)}


def test_the_experiment_has_the_published_numbers(tmp_path: Path) -> None:
    llama = saved(LlamaConfig(**SHAPE), tmp_path / "llama")
    found = bottleneck_parameters(load("related_context_peft", [f"language.name={llama}"], REPOSITORY / "experiments"))
    assert (found["ia3"], found["context_ia3"]) == (IA3, 2 * IA3)
    assert (found["bitfit"], found["context_bitfit"]) == (BITFIT, 2 * BITFIT)
    two_projections = LORA + 12 * 768  # gate and up have a down-projection each; the authors' are one matrix
    assert (found["lora"], found["context_lora"]) == (8 * two_projections, 16 * two_projections)
    assert found["lora_twice_the_rank"] == found["context_lora"]
    assert found["context_lora_mul"] == found["context_lora"] + 12 * 7 * 8 * 768  # the image's down-projections


def test_lora_has_the_published_numbers_where_gate_and_up_are_one_matrix(tmp_path: Path) -> None:
    names = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_up_proj", "down_proj")
    lora = {"bottleneck.targets": [f"*.{name}" for name in names]}
    experiment = {
        "task": "captioning",
        "data": {"name": "coco", "root": str(tmp_path / "none")},
        "language": {"name": saved(GlmConfig(**SHAPE, attention_bias=False), tmp_path / "glm")},
        "vision": {"name": "swinv2_tiny_window8_256", "weights": "random", "features": "tokens"},
        "model": {"unfreeze": []},
        "train": {"max_steps": 1},
        "sweep": {
            "cases": {
                f"{kind}{rank}": {"bottleneck.kind": kind, "bottleneck.rank": rank, **lora}
                for kind in ("lora", "context_lora")
                for rank in (1, 8, 64)
            }
        },
    }
    file = tmp_path / "published.yaml"
    file.write_text(yaml.safe_dump(experiment))
    found = bottleneck_parameters(load(str(file)))
    assert found == {f"lora{r}": LORA * r for r in (1, 8, 64)} | {f"context_lora{r}": 2 * LORA * r for r in (1, 8, 64)}
