"""Puts bottlenecks into any transformers or timm model, new ones or those of an artifact."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from vlrouting.bottleneck.argument_types import require_list, require_type
from vlrouting.bottleneck.artifact import (
    ArtifactError,
    built_from,
    load_trained_tensors,
    read_artifact,
    require_same_weights,
)
from vlrouting.bottleneck.base import Bottleneck
from vlrouting.bottleneck.per_task import tasks_with_bottlenecks
from vlrouting.bottleneck.routed import Routed
from vlrouting.bottleneck.targets import Target, refuse_bypassed, require_on_model
from vlrouting.bottleneck.unfreeze import parameters_to_unfreeze
from vlrouting.config import KINDS, BottleneckConfig
from vlrouting.config.bottleneck import LAYER_NORMS
from vlrouting.config.experiment import SINGLE
from vlrouting.config.fit import check

Places = Mapping[str, Sequence[Target | str]]


def attach(
    model: nn.Module,
    config: BottleneckConfig | Mapping[str, BottleneckConfig],
    *,
    places: Places | None = None,
    unfreeze: Sequence[str] = (LAYER_NORMS,),
    visual_width: int | None = None,
    tasks: Sequence[str] = (),
) -> Routed:
    """Freeze a model and put a bottleneck on every target that the configuration names.

    Args:
        model: of transformers or timm; changed in place. `Routed.detach` restores it.
        config: what to attach; several configurations by name.
        places: name of the configuration (`bottleneck` for a single one) -> targets or module names, in place of the
            configuration's own choice.
        unfreeze: what else trains: `layer_norms`, `biases`, `all`, or patterns of parameter names.
        visual_width: width D of the visual features. Default: the model's hidden width.
        tasks: names that `look_at(task=...)` is given; a configuration with `per_task` attaches a bottleneck for each.

    Raises:
        ValueError: an impossible configuration, a target that matches nothing, or a model that has bottlenecks
            already.
        TypeError: an argument has the wrong type.
    """
    _check_types(model, config, places, unfreeze, visual_width)
    require_list("attach", "tasks", tasks, str)
    configs = {SINGLE: config} if isinstance(config, BottleneckConfig) else dict(config)
    problems = [str(problem) for each in configs.values() for problem in check(each)]
    problems += [f"places: no bottleneck is called '{name}'" for name in (places or {}) if name not in configs]
    if problems:
        raise ValueError("; ".join(problems))
    refuse_attached(model)
    own_tasks = tasks_with_bottlenecks(configs.values(), tasks)
    targets = {name: _targets(model, each, (places or {}).get(name)) for name, each in configs.items()}
    adapted = {layer for found in targets.values() for target in found for layer in (target.name, *target.base_layers)}
    for layer in sorted(adapted):
        refuse_bypassed(model, layer)
    unfrozen = parameters_to_unfreeze(model, unfreeze, adapted)
    routed = Routed(model, configs, visual_width or _hidden_width(model), own_tasks)
    model.requires_grad_(False)
    try:
        for name, found in targets.items():
            for target in found:
                routed.add(name, target)
    except Exception:
        routed.detach()
        raise
    routed.unfreeze(unfreeze, unfrozen)
    return routed


def refuse_attached(model: nn.Module) -> None:
    """
    Raises:
        ValueError: the model has bottlenecks.
    """
    attached = next((name for name, module in model.named_modules() if isinstance(module, Bottleneck)), None)
    if attached is not None:
        raise ValueError(
            f"the model has bottlenecks already ({attached}); call detach() on what attach returned first. To copy a "
            "model with its bottlenecks, deep-copy what attach returned, not its `model`"
        )


def _check_types(model: object, config: object, places: object, unfreeze: object, visual_width: object) -> None:
    require_type("attach", "model", model, nn.Module)
    require_type("attach", "config", config, (BottleneckConfig, Mapping))
    for name, each in config.items() if isinstance(config, Mapping) else ():
        require_type("attach", f"config[{name!r}]", each, BottleneckConfig)
    require_type("attach", "places", places, (Mapping, type(None)))
    for name, given in places.items() if isinstance(places, Mapping) else ():
        require_list("attach", f"places[{name!r}]", given, (Target, str))
    require_list("attach", "unfreeze", unfreeze, str)
    require_type("attach", "visual_width", visual_width, (int, type(None)))


def _targets(model: nn.Module, config: BottleneckConfig, given: Sequence[Target | str] | None) -> list[Target]:
    """The targets of one configuration in model order."""
    order = {name: number for number, (name, _) in enumerate(model.named_modules())}
    kind: type[Bottleneck] = KINDS.load(config.kind)
    if given is None:
        return sorted(kind.find_targets(model, config), key=lambda target: order[target.name])
    found = [target for target in given if isinstance(target, Target)]
    names = [name for name in given if isinstance(name, str)]
    if names:
        found += kind.find_targets(model, replace(config, targets=names, layers=None))
    for target in found:
        require_on_model(model, target)
    return sorted(found, key=lambda target: order[target.name])


def _hidden_width(model: Any) -> int:
    """D of a transformers or timm model."""
    return int(model.config.hidden_size if hasattr(model, "config") else model.num_features)


def load(directory: str | Path, backbone: nn.Module, *, other_weights: bool = False) -> Routed:
    """Attach an artifact that `save` wrote to a fresh backbone, on exactly the targets that it was trained on.

    Args:
        directory: of the artifact.
        backbone: the model that it was trained on, in any precision, on any device; changed in place.
        other_weights: take a backbone of the same shapes with other weights all the same, such as a fine-tuned one.

    Raises:
        ArtifactError: a file is missing or damaged, a tensor is missing, unexpected or of another shape, or the frozen
            weights are not those that it was trained on (`fingerprint` says what is compared).
        TypeError: an argument has the wrong type.
    """
    require_type("load", "directory", directory, (str, Path))
    require_type("load", "backbone", backbone, nn.Module)
    config, tensors = read_artifact(Path(directory))
    if "visual_width" not in config:
        raise ArtifactError(
            f"{directory}: written by `vlrouting train` for a whole vision-language model; "
            "load it with vlrouting.Predictor"
        )
    refuse_attached(backbone)
    saved, name = config["backbone"]["name"], getattr(getattr(backbone, "config", None), "_name_or_path", "")
    if name and saved != name:
        warnings.warn(f"{directory}: trained on backbone '{saved}', loaded onto '{name}'", stacklevel=2)
    with built_from(Path(directory), tensors):
        configs = {key: BottleneckConfig(**keys) for key, keys in config["bottlenecks"].items()}
        stored = {"unfreeze": config["unfreeze"], "visual_width": config["visual_width"]}
        routed = attach(backbone, configs, places=stored_places(config), tasks=config.get("tasks") or (), **stored)
    try:
        load_trained_tensors(backbone, tensors, str(directory))
        if not other_weights:
            require_same_weights(config, {"backbone": routed.backbone()}, str(directory))
    except ArtifactError:
        routed.detach()
        raise
    return routed


def stored_places(config: Mapping[str, Any]) -> dict[str, list[Target]] | None:
    """The targets that an artifact was trained on; None for an artifact of schema version 1, which does not say."""
    if "places" not in config:
        return None
    return {name: [Target.from_json(target) for target in targets] for name, targets in config["places"].items()}
