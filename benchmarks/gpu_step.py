"""What routing costs on a GPU at the paper's size: `python benchmarks/gpu_step.py` prints a table in Markdown.

The model is a GPT-2 medium with random weights (355 million parameters), 40 captions of 50 tokens, one image each, as
in the paper's captioning experiments; AdamW steps in bfloat16 (autocast), then captions of 20 tokens with 5 beams.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from typing import Any

import torch
from transformers import GPT2Config, GPT2LMHeadModel

from vlrouting.bottleneck import BottleneckConfig, attach
from vlrouting.bottleneck.routed import Routed

BATCH, TOKENS, NEW_TOKENS, BEAMS = 40, 50, 20, 5
STEPS = 30
DEVICE = torch.device("cuda")
NO_DROPOUT = dict.fromkeys(("embd_pdrop", "attn_pdrop", "resid_pdrop"), 0.0)
COLUMNS = ("trainable, M", "ms/step", "ratio", "peak GiB", "ms to generate", "ratio")
VARIANTS: dict[str, dict[str, Any]] = {
    "LoRA": {"kind": "lora", "rank": 64},
    **{
        f"LoRA {routing}": {"kind": "lora", "rank": 64, "routing": routing}
        for routing in ("add", "mul", "expand", "gram")
    },
    "Adapter": {"kind": "adapter", "rank": 64},
    "Adapter mul": {"kind": "adapter", "rank": 64, "routing": "mul"},
    "IA3": {"kind": "ia3"},
    "BitFit": {"kind": "none", "unfreeze": ["biases"]},
    "full fine-tuning": {"kind": "none", "unfreeze": ["all"]},
}


def routed_model(*, checkpointing: bool = False, unfreeze: tuple[str, ...] = (), **bottleneck: Any) -> Routed:
    """GPT-2 medium with one bottleneck configuration, on the GPU."""
    torch.manual_seed(0)
    with DEVICE:
        model = GPT2LMHeadModel(
            GPT2Config(n_embd=1024, n_layer=24, n_head=16, embd_pdrop=0, attn_pdrop=0, resid_pdrop=0)
        )
    if checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    routed = attach(model, BottleneckConfig(**bottleneck), unfreeze=list(unfreeze))
    model.train()
    return routed


def milliseconds(work: Callable[[], Any], repeats: int) -> float:
    """Of one call, after a quarter as many to warm up."""
    for _ in range(repeats // 4 + 1):
        work()
    torch.cuda.synchronize()
    started = time.perf_counter()
    for _ in range(repeats):
        work()
    torch.cuda.synchronize()
    return 1000 * (time.perf_counter() - started) / repeats


def measure(routed: Routed) -> tuple[float, float, float, float]:
    """(milliseconds of a training step, peak GiB of it, milliseconds of generating, million trainable parameters)."""
    model, visual = routed.model, torch.randn(BATCH, 1, 1024, device=DEVICE)
    text = torch.randint(0, 50257, (BATCH, TOKENS), device=DEVICE)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-4)

    def step() -> None:
        with torch.autocast("cuda", torch.bfloat16), routed.look_at(visual):
            model(input_ids=text, labels=text).loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    @torch.inference_mode()
    def generate() -> None:
        shape = {"num_beams": BEAMS, "min_new_tokens": NEW_TOKENS, "max_new_tokens": NEW_TOKENS, "pad_token_id": 0}
        with torch.autocast("cuda", torch.bfloat16), routed.look_at(visual):
            model.generate(text[:, :1], attention_mask=torch.ones_like(text[:, :1]), do_sample=False, **shape)

    torch.cuda.reset_peak_memory_stats()
    training = milliseconds(step, STEPS)
    peak = torch.cuda.max_memory_allocated() / 2**30
    model.eval()
    return training, peak, milliseconds(generate, 2), routed.trainable_parameters / 1e6


def main() -> None:
    """One row per variant; ratios to plain LoRA."""
    print(f"{torch.cuda.get_device_name(DEVICE)}, PyTorch {torch.__version__}\n")
    print(f"| variant | {' | '.join(COLUMNS)} |")
    print(f"|---|{'--:|' * len(COLUMNS)}")
    base: tuple[float, ...] | None = None
    rows = {**VARIANTS, "LoRA mul, activation checkpointing": {**VARIANTS["LoRA mul"], "checkpointing": True}}
    for name, settings in rows.items():
        found = measure(routed_model(**settings))
        gc.collect()  # a model and its hooks refer to one another
        torch.cuda.empty_cache()
        base = base or found
        step, peak, generation, parameters = found
        print(
            f"| {name} | {parameters:.2f} | {step:.1f} | {step / base[0]:.2f} | {peak:.2f} "
            f"| {generation:.0f} | {generation / base[2]:.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
