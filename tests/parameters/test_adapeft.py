"""AdaPEFT's groups at published sizes: GPT-2 and GPT-2 medium, without weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from transformers import GPT2Config, GPT2LMHeadModel

from tests.command_line import REPOSITORY
from vlrouting.bottleneck import attach
from vlrouting.experiment import load
from vlrouting.parameters import experiment_parameters
from vlrouting.selection.adapeft.groups import find_groups

SIZES = {"gpt2": (768, 12, 12, 124_439_808), "gpt2-medium": (1024, 24, 16, 354_823_168)}


@pytest.mark.parametrize("name", SIZES)
def test_groups_of_gpt2(name: str) -> None:
    width, layers, heads, total = SIZES[name]
    (point, *_) = load("related_adapeft", experiments_dir=REPOSITORY / "experiments").points
    config = point.config
    with torch.device("meta"):
        model = GPT2LMHeadModel(GPT2Config(n_embd=width, n_layer=layers, n_head=heads))
        assert sum(p.numel() for p in model.parameters()) == total
        routed = attach(model, config.named_bottlenecks, unfreeze=config.model.unfreeze)
    found = {group.name: group.size for group in find_groups({"language": routed}, "block", config.select.groups)}  # type: ignore[union-attr]
    block = 8 * 2 * (width + width)  # rank, query and value, down and up
    assert [found.pop(f"bottleneck@transformer.h.{n}") for n in range(layers)] == [block] * layers
    # The biases of a block without its norms': c_attn (3), c_proj, c_fc (4), c_proj; one more of the last norm.
    norms, biases = layers * 2 * 2 * width, layers * 9 * width + width
    assert found == {"layer_norms": norms, "biases": biases, "all": total - norms - biases}
    assert config.select.budget <= 0.001 * 124_439_808 < config.select.budget + block  # type: ignore[union-attr, operator]


def test_every_target_counts_before_the_choice(tmp_path: Path) -> None:
    """`vlrouting params` of the shipped experiment."""
    GPT2Config().save_pretrained(tmp_path)
    experiment = load("related_adapeft", [f"language.name={tmp_path}"], REPOSITORY / "experiments")
    for variant in experiment_parameters(experiment.points):
        assert sum(variant.counts.bottlenecks.values()) == 12 * 8 * 2 * (768 + 768)
        assert not variant.counts.unfrozen and "before the selector's choice" in variant.notes[-1]
