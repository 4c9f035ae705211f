"""The kinds of bottleneck: a file each with its keys, and its line in the registry."""

from vlrouting.config.bottleneck import KINDS
from vlrouting.config.kinds.adapter import AdapterConfig
from vlrouting.config.kinds.compacter import CompacterConfig
from vlrouting.config.kinds.context_bitfit import ContextBitFitConfig
from vlrouting.config.kinds.context_ia3 import ContextIa3Config
from vlrouting.config.kinds.context_lora import ContextLoraConfig
from vlrouting.config.kinds.dora import DoraConfig
from vlrouting.config.kinds.genft import GenftConfig
from vlrouting.config.kinds.ia3 import Ia3Config
from vlrouting.config.kinds.lora import LoraConfig
from vlrouting.config.kinds.low_rank import LowRankConfig
from vlrouting.config.kinds.none import NoBottleneckConfig
from vlrouting.config.kinds.prefix import PrefixConfig
from vlrouting.config.kinds.prompt import PromptConfig
from vlrouting.config.kinds.proto_hyper import ProtoHyperConfig
from vlrouting.config.kinds.vera import VeraConfig
from vlrouting.config.kinds.vl_pet import VlPetConfig

__all__ = ["AdapterConfig", "CompacterConfig", "LoraConfig", "LowRankConfig", "VeraConfig", "VlPetConfig"]

for _name, _config, _implementation in (
    ("none", NoBottleneckConfig, "vlrouting.bottleneck.kinds.none:NoBottleneck"),
    ("lora", LoraConfig, "vlrouting.bottleneck.kinds.lora:LoRA"),
    ("adapter", AdapterConfig, "vlrouting.bottleneck.kinds.adapter:Adapter"),
    ("ia3", Ia3Config, "vlrouting.bottleneck.kinds.ia3:IA3"),
    ("dora", DoraConfig, "vlrouting.bottleneck.kinds.dora:DoRA"),
    ("vera", VeraConfig, "vlrouting.bottleneck.kinds.vera:VeRA"),
    ("compacter", CompacterConfig, "vlrouting.bottleneck.kinds.compacter:Compacter"),
    ("vl_pet", VlPetConfig, "vlrouting.bottleneck.kinds.vl_pet:VLPet"),
    ("prompt", PromptConfig, "vlrouting.bottleneck.kinds.prompt:Prompt"),
    ("prefix", PrefixConfig, "vlrouting.bottleneck.kinds.prefix:Prefix"),
    ("genft", GenftConfig, "vlrouting.bottleneck.kinds.genft:GenFT"),
    ("proto_hyper", ProtoHyperConfig, "vlrouting.bottleneck.kinds.proto_hyper:ProtoHyper"),
    ("context_lora", ContextLoraConfig, "vlrouting.bottleneck.kinds.context_lora:ContextLoRA"),
    ("context_ia3", ContextIa3Config, "vlrouting.bottleneck.kinds.context_ia3:ContextIA3"),
    ("context_bitfit", ContextBitFitConfig, "vlrouting.bottleneck.kinds.context_bitfit:ContextBitFit"),
):
    KINDS.register(_name, _config, _implementation)
