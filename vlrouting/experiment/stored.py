"""A configuration out of the nested dictionary that an artifact keeps of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import NoneType
from typing import Any

from vlrouting.config import KINDS, ExperimentConfig
from vlrouting.config.bottleneck import LAYER_NORMS
from vlrouting.config.fit import hints_of, options
from vlrouting.config.names import no_such_key
from vlrouting.experiment import schema
from vlrouting.experiment.document import Leaf
from vlrouting.experiment.typed import Builder


def config_from_dict(stored: Mapping[str, Any]) -> ExperimentConfig:
    """The configuration that `dataclasses.asdict` made `stored` of; a key that is not there has its default.

    Every value is checked as that of a file is, and `${…}` is text: a stranger's artifact reads no variable here.
    Artifacts of schema version 1 are read too: a bottleneck there has the keys of every kind, and `train_layer_norm`
    in place of `model.unfreeze`.

    Raises:
        ValueError: a key is not known, a value does not fit, or a name is not registered: its plug-in has to be
            imported first.
    """
    leaves = {leaf.key: leaf for leaf in _leaves(_as_version_2(stored), "")}
    config, failed = Builder(ExperimentConfig, resolve=False).build(leaves)
    if failed:
        raise ValueError("; ".join(f"{wrong.key}: {wrong.message}{wrong.advice}" for wrong in failed.values()))
    return config


def _as_version_2(stored: Mapping[str, Any]) -> Mapping[str, Any]:
    bottleneck, model = stored.get("bottleneck"), stored.get("model", {})
    if not (isinstance(bottleneck, Mapping) and "train_layer_norm" in bottleneck and isinstance(model, Mapping)):
        return stored
    unfreeze = [LAYER_NORMS] if bottleneck["train_layer_norm"] else []
    known = hints_of(KINDS.facts(str(bottleneck.get("kind", "lora"))))
    own = {key: value for key, value in bottleneck.items() if key in known}
    return {**stored, "bottleneck": own, "model": {**model, "unfreeze": unfreeze}}


def _leaves(tree: Mapping[str, Any], section: str) -> Iterator[Leaf]:
    known = schema.keys_of(section)
    for name, value in tree.items():
        key = f"{section}.{name}" if section else str(name)
        hint = schema.hint_of(key)
        if hint is None:
            raise ValueError("".join(no_such_key(section or "an experiment", str(name), known)))
        if schema.is_section(hint) and isinstance(value, Mapping) and value:
            yield from _leaves(value, key)
        elif not schema.is_section(hint) or value == {} or (value is None and NoneType in options(hint)):
            yield Leaf(key, value, "", None, key)
        else:
            raise ValueError(f"{key}: is a section: expected keys below it")
