"""Puts bottlenecks into any transformers model, fresh ones or those of an artifact."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

from torch import nn

from vlrouting.bottleneck.artifact import ArtifactError, load_learned_tensors, read_artifact
from vlrouting.bottleneck.routed import CHILD, Routed
from vlrouting.bottleneck.targets import find_places
from vlrouting.config import BottleneckConfig
from vlrouting.config.bottleneck import LAYER_NORMS


def attach(
    model: nn.Module,
    config: BottleneckConfig,
    visual_width: int | None = None,
    unfreeze: Sequence[str] = (LAYER_NORMS,),
) -> Routed:
    """Freeze a transformers model and put a bottleneck at every place that the configuration names.

    Args:
        model: changed in place; `Routed.detach` restores it.
        config: what to attach, and where.
        visual_width: width D of the visual features. Default: the model's hidden width.

    Raises:
        ValueError: an impossible configuration, a target that matches nothing, or a model that has bottlenecks
            already.
    """
    problems = config.problems()
    if problems:
        raise ValueError("; ".join(map(str, problems)))
    taken = next((name for name, _ in model.named_modules() if name.split(".")[-1] == CHILD), None)
    if taken is not None:
        raise ValueError(f"the model has bottlenecks already ({taken}); call detach() on what attach returned first")
    places = find_places(model, config)
    routed = Routed(model, config, visual_width or int(model.config.hidden_size))  # type: ignore[union-attr, arg-type]
    model.requires_grad_(False)
    try:
        for place in places:
            routed.add(place)
    except ValueError:
        routed.detach()
        raise
    if unfreeze:
        routed.free_norms()
    return routed


def load(directory: str | Path, backbone: nn.Module) -> Routed:
    """Attach an artifact that `save` wrote to a fresh backbone.

    Raises:
        ArtifactError: a file is missing or damaged, or a tensor is missing, unexpected or of another shape.
    """
    config, tensors = read_artifact(Path(directory))
    if "bottleneck" not in config or "visual_width" not in config:
        raise ArtifactError(
            f"{directory}: written by `vlrouting train` for a whole vision-language model; "
            "load it with vlrouting.training.predictor.load_trained"
        )
    saved, name = config["backbone"]["name"], getattr(getattr(backbone, "config", None), "_name_or_path", "")
    if name and saved != name:
        warnings.warn(f"{directory}: trained on backbone '{saved}', loaded onto '{name}'", stacklevel=2)
    routed = attach(backbone, BottleneckConfig(**config["bottleneck"]), config["visual_width"])
    try:
        load_learned_tensors(backbone, tensors, str(directory))
    except ArtifactError:
        routed.detach()
        raise
    return routed
