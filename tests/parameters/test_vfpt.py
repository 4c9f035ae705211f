"""The numbers of prompts at the published size, ViT-B/16."""

from __future__ import annotations

from pathlib import Path

from transformers import RobertaConfig

from tests.command_line import REPOSITORY
from vlrouting.experiment import load
from vlrouting.parameters import experiment_parameters


def test_prompts_of_vit_b_16(tmp_path: Path) -> None:
    RobertaConfig().save_pretrained(tmp_path)  # the sizes of roberta-base
    experiment = load("related_vfpt", [f"language.name={tmp_path}"], REPOSITORY / "experiments")
    found = {each.name: each.counts for each in experiment_parameters(experiment.points)}
    prompts = {name: sum(n for part, n in of.bottlenecks.items() if "vfpt" in part) for name, of in found.items()}
    deep = ("vpt_deep", "vfpt", "vfpt_all", "vfpt_hidden", "vfpt_sequence", "vfpt_and_lora")
    assert {prompts[name] for name in deep} == {12 * 10 * 768} == {92_160}
    assert prompts["vpt_shallow"] == 10 * 768 and prompts["frozen"] == prompts["lora"] == 0
    head = found["frozen"].trainable
    assert all(found[name].trainable == head + prompts[name] for name in ("vpt_shallow", *deep[:-1]))
    assert found["vfpt_and_lora"].trainable == found["lora"].trainable + 92_160
