"""What generating the update costs: `python benchmarks/genft.py` prints a table in Markdown.

A step of 8 texts of 20 tokens through a RoBERTa-base with random weights, and 8 texts of 20 tokens by a GPT-2 of the
same size, on one core in float32. All have about as many trainable parameters.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedModel, RobertaConfig, RobertaModel

from vlrouting.bottleneck import BottleneckConfig, attach

BATCH, TOKENS, NEW_TOKENS, REPEATS = 8, 20, 20, 5
PRODUCT = {"kind": "genft", "rank": 26, "layer_rank": 2, "orientation": "peft", "outer_activation": "identity"}
VARIANTS: dict[str, dict[str, Any]] = {
    "LoRA": {"kind": "lora", "rank": 4},
    "LoRA mul": {"kind": "lora", "rank": 4, "routing": "mul"},
    "GenFT, leaky ReLU": {"kind": "genft", "rank": 26, "layer_rank": 2, "orientation": "peft"},
    "GenFT, product": PRODUCT,
    "GenFT, product, mul": {**PRODUCT, "routing": "mul"},
}


def milliseconds(work: Callable[[], object]) -> float:
    """Median of a few calls, after one to warm up."""
    found = []
    for _ in range(REPEATS + 1):
        started = time.perf_counter()
        work()
        found.append(1000 * (time.perf_counter() - started))
    return statistics.median(found[1:])


def timed(model: PreTrainedModel, keys: dict[str, Any], generates: bool) -> float:
    """Milliseconds of a training step, or of a generated text."""
    routed = attach(model, BottleneckConfig(**keys), unfreeze=())
    ids, visual = torch.randint(5, 5000, (BATCH, TOKENS)), torch.randn(BATCH, 1, model.config.hidden_size)

    def step() -> None:
        with routed.look_at(visual):
            routed.model(ids)[0].pow(3).mean().backward()

    @torch.no_grad()
    def text() -> None:
        with routed.look_at(visual):
            routed.model.generate(ids, max_new_tokens=NEW_TOKENS, min_new_tokens=NEW_TOKENS, pad_token_id=0)  # type: ignore[operator]

    found = milliseconds(text if generates else step)
    routed.detach()
    return found


def main() -> None:
    """Measure and print."""
    torch.set_num_threads(1)
    roberta, gpt2 = RobertaModel(RobertaConfig()), GPT2LMHeadModel(GPT2Config()).eval()
    print("| variant | ms/step | ms to generate |\n|---|--:|--:|")
    for name, keys in VARIANTS.items():
        print(f"| {name} | {timed(roberta, keys, False):,.0f} | {timed(gpt2, keys, True):,.0f} |", flush=True)


if __name__ == "__main__":
    main()
