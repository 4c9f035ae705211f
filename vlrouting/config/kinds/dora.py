"""`kind: dora`."""

from __future__ import annotations

from dataclasses import dataclass, field

from vlrouting.config.kinds.lora import LoraConfig


@dataclass(kw_only=True)
class DoraConfig(LoraConfig):
    """DoRA (arXiv 2402.09353): LoRA that trains the length of every column of the adapted weight by itself."""

    kind: str = field(default="dora", kw_only=False)
