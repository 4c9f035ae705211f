"""`related_genft` at its full size, without weights, has the parameters that GenFT's authors report beside the head."""

from __future__ import annotations

from pathlib import Path

from transformers import RobertaConfig

from tests.command_line import REPOSITORY
from vlrouting.experiment import load
from vlrouting.parameters import experiment_parameters


def test_the_published_numbers(tmp_path: Path) -> None:
    roberta = RobertaConfig(vocab_size=50265, max_position_embeddings=514, type_vocab_size=1)
    roberta.save_pretrained(tmp_path / "roberta-base")
    points = load("related_genft", [f"language.name={tmp_path / 'roberta-base'}"], REPOSITORY / "experiments").points
    found = {each.name: sum(each.counts.bottlenecks.values()) for each in experiment_parameters(points)}
    assert found["language"] == 149_044
    assert found["language_mul"] == 149_044 - 2 * (26 + 768), "no biases: of R channels and D features in both stages"
    assert found["vision"] == 190_464
    assert found["lora"] == found["lora_mul"] == 147_456
