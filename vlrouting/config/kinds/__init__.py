"""The kinds of bottleneck: a file each with its keys, and its line in the registry."""

from vlrouting.config.bottleneck import KINDS
from vlrouting.config.kinds.adapter import AdapterConfig
from vlrouting.config.kinds.dora import DoraConfig
from vlrouting.config.kinds.ia3 import Ia3Config
from vlrouting.config.kinds.lora import LoraConfig
from vlrouting.config.kinds.low_rank import LowRankConfig
from vlrouting.config.kinds.none import NoBottleneckConfig

__all__ = ["AdapterConfig", "LoraConfig", "LowRankConfig"]

for _name, _config, _implementation in (
    ("none", NoBottleneckConfig, "vlrouting.bottleneck.kinds.none:NoBottleneck"),
    ("lora", LoraConfig, "vlrouting.bottleneck.kinds.lora:LoRA"),
    ("adapter", AdapterConfig, "vlrouting.bottleneck.kinds.adapter:Adapter"),
    ("ia3", Ia3Config, "vlrouting.bottleneck.kinds.ia3:IA3"),
    ("dora", DoraConfig, "vlrouting.bottleneck.kinds.dora:DoRA"),
):
    KINDS.register(_name, _config, _implementation)
