"""Bottlenecks with routing functions for any transformers model; needs neither Lightning nor YAML.

routed = attach(model, BottleneckConfig(kind="lora", rank=64, routing="mul"))
with routed.look_at(visual):  # (B, V, D)
    out = model(**inputs)
"""

from vlrouting.bottleneck.artifact import ArtifactError
from vlrouting.bottleneck.attach import attach, load
from vlrouting.bottleneck.context import VisualContext
from vlrouting.bottleneck.routed import Routed
from vlrouting.config import BottleneckConfig

__all__ = ["ArtifactError", "BottleneckConfig", "Routed", "VisualContext", "attach", "load"]
