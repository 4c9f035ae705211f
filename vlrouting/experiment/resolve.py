"""A point's configuration as YAML."""

from __future__ import annotations

from dataclasses import asdict

import yaml

from vlrouting.config import ExperimentConfig


def to_yaml(config: ExperimentConfig) -> str:
    """Every key with its value: enough to repeat the run with `vlrouting train path/to/config.yaml`."""
    tree = asdict(config)
    if config.bottlenecks:
        del tree["bottleneck"]  # the short form of the other, and only one of the two can be given
    text: str = yaml.safe_dump(tree, sort_keys=False, allow_unicode=True)
    return text
