"""A point's configuration as YAML."""

from __future__ import annotations

from dataclasses import asdict

import yaml

from vlrouting.config import ExperimentConfig


def to_yaml(config: ExperimentConfig) -> str:
    """Every key with its value: enough to repeat the run with `vlrouting train path/to/config.yaml`."""
    text: str = yaml.safe_dump(asdict(config), sort_keys=False, allow_unicode=True)
    return text
