"""Bottlenecks with routing functions for any transformers or timm model; needs neither Lightning nor YAML.

routed = attach(model, BottleneckConfig(kind="lora", rank=64, routing="mul"))
with routed.look_at(visual):  # (B, V, D)
    out = model(**inputs)
"""

from vlrouting.bottleneck.artifact import ArtifactError
from vlrouting.bottleneck.attach import attach, load, stored_places
from vlrouting.bottleneck.base import Bottleneck, Site, register_kind, shared
from vlrouting.bottleneck.context import ForwardContext
from vlrouting.bottleneck.layers import LowRankBottleneck
from vlrouting.bottleneck.projection_update import ProjectionUpdate
from vlrouting.bottleneck.routed import Routed
from vlrouting.bottleneck.targets import Target, projection_targets, sub_layer_targets
from vlrouting.config import BottleneckConfig

__all__ = [
    "ArtifactError",
    "Bottleneck",
    "BottleneckConfig",
    "ForwardContext",
    "LowRankBottleneck",
    "ProjectionUpdate",
    "Routed",
    "Site",
    "Target",
    "attach",
    "load",
    "projection_targets",
    "register_kind",
    "shared",
    "stored_places",
    "sub_layer_targets",
]
