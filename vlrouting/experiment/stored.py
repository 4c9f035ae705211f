"""A configuration out of the nested dictionary that an artifact keeps of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args, get_origin

from vlrouting.config import KINDS, ExperimentConfig
from vlrouting.config.bottleneck import LAYER_NORMS
from vlrouting.config.names import no_such_key
from vlrouting.experiment.schema import CHOICES, hints_of, without_none


def config_from_dict(stored: Mapping[str, Any]) -> ExperimentConfig:
    """The configuration that `dataclasses.asdict` made `stored` of; a key that is not there has its default.

    Artifacts of schema version 1 are read too: a bottleneck there has the keys of every kind, and `train_layer_norm`
    in place of `model.unfreeze`.

    Raises:
        ValueError: a key is not known, or a name is not registered: its plug-in has to be imported first.
    """
    bottleneck = stored.get("bottleneck", {})
    if "train_layer_norm" in bottleneck:
        unfreeze = [LAYER_NORMS] if bottleneck["train_layer_norm"] else []
        variant: type = KINDS.facts(bottleneck["kind"])
        known = hints_of(variant)
        own = {key: value for key, value in bottleneck.items() if key in known}
        stored = {**stored, "bottleneck": own, "model": {**stored.get("model", {}), "unfreeze": unfreeze}}
    config: ExperimentConfig = _section(ExperimentConfig, stored, "an experiment")
    return config


def _section(section: type, values: Mapping[str, Any], name: str) -> Any:
    """A section of this class, or of the variant that its values or its name choose."""
    if section in CHOICES:
        registry, chooser = CHOICES[section]
        section = registry.facts(values[chooser] if chooser else name)
    hints = hints_of(section)
    for key in values:
        if key not in hints:
            raise ValueError("".join(no_such_key(name, key, hints)))
    return section(**{key: _value(hints[key], value, key) for key, value in values.items()})


def _value(hint: Any, value: Any, name: str) -> Any:
    hint = without_none(hint)
    if get_origin(hint) is dict and isinstance(value, Mapping):
        return {key: _value(get_args(hint)[1], below, key) for key, below in value.items()}
    if isinstance(value, Mapping):
        return _section(hint, value, name)
    return list(value) if isinstance(value, (list, tuple)) else value
