"""CPU time of a training step with transformers' attention implementations: `python benchmarks/attention.py`.

The model is a frozen BERT of MiniLM's size with LoRA on query and value; a batch has 16 texts of 10 tokens; one thread.
Results of one run (two shared cores of an AMD EPYC with AVX512-BF16):

    32-true    sdpa    109.9 ms  1.00
    32-true    eager   108.4 ms  0.99
    bf16-mixed sdpa     76.8 ms  0.70
    bf16-mixed eager    70.5 ms  0.64
"""

from __future__ import annotations

import itertools
import time

import torch
from transformers import AutoModel, BertConfig

from vlrouting.bottleneck import BottleneckConfig, attach
from vlrouting.training.machine import keep_freed_memory

STEPS = 40
SHAPE = (16, 10)


def seconds_per_step(attention: str, bf16: bool) -> float:
    """CPU seconds of a forward and backward pass."""
    torch.manual_seed(0)
    config = BertConfig(hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536)
    model = AutoModel.from_config(config, attn_implementation=attention).eval()
    routed = attach(model, BottleneckConfig(kind="lora", rank=32, routing="mul"))
    tokens, visual = torch.randint(1000, 2000, SHAPE), torch.randn(SHAPE[0], 1, 384)
    mask = torch.ones_like(tokens)
    started = 0.0
    for step in range(STEPS + 5):
        if step == 5:
            started = time.process_time()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16), routed.look_at(visual):
            loss = model(input_ids=tokens, attention_mask=mask).last_hidden_state.float().square().mean()
        loss.backward()
    return (time.process_time() - started) / STEPS


def main() -> None:
    """Print milliseconds, and ratios relative to sdpa in float32."""
    torch.set_num_threads(1)
    keep_freed_memory()
    base = None
    for bf16, attention in itertools.product((False, True), ("sdpa", "eager")):
        seconds = seconds_per_step(attention, bf16)
        base = base or seconds
        print(f"{'bf16-mixed' if bf16 else '32-true':10} {attention:6} {1000 * seconds:6.1f} ms  {seconds / base:.2f}")


if __name__ == "__main__":
    main()
