"""A point's configuration as YAML."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import yaml

from vlrouting.config import ExperimentConfig
from vlrouting.config.environment import FromEnvironment
from vlrouting.experiment.references import escaped

_DUMPER = getattr(yaml, "CSafeDumper", yaml.SafeDumper)


def to_yaml(config: ExperimentConfig) -> str:
    """Every key with its value: enough to repeat the run with `vlrouting train path/to/config.yaml`.

    What came from the environment is written as `${oc.env:NAME}` again.
    """
    text: str = yaml.dump(plain(config), Dumper=_DUMPER, sort_keys=False, allow_unicode=True)
    return text


def plain(config: ExperimentConfig) -> dict[str, Any]:
    """The same as nested mappings."""
    tree: dict[str, Any] = _written(asdict(config))
    if config.bottlenecks:
        del tree["bottleneck"]  # the short form of the other, and only one of the two can be given
    if config.datasets:
        del tree["data"]  # likewise
    return tree


def _written(value: Any) -> Any:
    """A value that reads as it is: `${` in a text is escaped."""
    if isinstance(value, FromEnvironment):
        return value.written
    if isinstance(value, str):
        return escaped(value)
    if isinstance(value, dict):
        return {key: _written(below) for key, below in value.items()}
    return [_written(entry) for entry in value] if isinstance(value, (list, tuple)) else value
