"""The settings that all points share and those that differ, and what the runs were made with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from vlrouting.config import ExperimentConfig
from vlrouting.config.fit import spelled
from vlrouting.experiment.errors import UserError
from vlrouting.experiment.rundir import RunDirectory
from vlrouting.experiment.schema import flatten
from vlrouting.report.comparison import Variant

ABSENT = "\N{EN DASH}"
_RECORDED = (
    *("git_commit", "git_dirty", "code_version", "data_hash", "metric_variant", "precision", "device", "python"),
    *("platform", "weights", "packages"),
)
"""Fields of run.json that say how a run was made."""


@dataclass(frozen=True)
class Settings:
    """Settings of the variants, spelt as in YAML.

    Attributes:
        differing: key -> value of each of `labels`.
        labels: the variants.
        shared: key -> value, where it is not the default.
        defaults: key -> value, where all have the default.
    """

    differing: dict[str, list[str]]
    labels: list[str]
    shared: dict[str, str]
    defaults: dict[str, str]


def settings(variants: Sequence[Variant]) -> Settings:
    """The settings of the variants whose config.yaml can be read; seeds are listed together."""
    configs = {variant.label: found for variant in variants if (found := _config(variant))}
    keys = sorted({key for config in configs.values() for key in config})
    defaults = flatten(asdict(ExperimentConfig()))
    differing, shared, default = {}, {}, {}
    for key in keys:
        values = [spelled(config[key]) if key in config else ABSENT for config in configs.values()]
        if len(set(values)) > 1:
            differing[key] = values
        elif (same := _in_one_dataset(key)) in defaults and values[0] == spelled(defaults[same]):
            default[key] = values[0]
        else:
            shared[key] = values[0]
    return Settings(differing, list(configs), shared, default)


def _in_one_dataset(key: str) -> str:
    """`data.root` for `datasets.vqa.root`, whose default is the same."""
    section, _, name = key.partition(".")
    return f"data.{name.partition('.')[2]}" if section == "datasets" and "." in name else key


def _config(variant: Variant) -> dict[str, object]:
    """Of the first run that can be read, with the seeds of all."""
    runs = variant.runs or variant.unfinished
    for row in runs:
        if row.folder is None:
            continue
        try:
            config = RunDirectory(row.folder).read_config()
        except UserError:
            continue
        seeds = [one.seed for one in runs if one.seed is not None]
        chosen = {key: value for key, value in config.items() if key.partition(".")[0] != "tuned"}
        return chosen | ({"seed": seeds} if len(seeds) > 1 else {})
    return {}


def environment(variants: Iterable[Variant]) -> dict[str, list[tuple[str, list[str]]]]:
    """Field -> each value, with the runs that have it where they differ."""
    found: dict[str, dict[str, list[str]]] = {}
    for variant in variants:
        for row in variant.runs:
            for field, value in _recorded(row.folder).items():
                found.setdefault(field, {}).setdefault(value, []).append(row.variant)
    return {
        field: [(value, runs if len(values) > 1 else []) for value, runs in values.items()]
        for field, values in found.items()
    }


def _recorded(folder: Path | None) -> dict[str, str]:
    try:
        record = RunDirectory(folder).read_run() if folder is not None else {}
    except UserError:
        return {}
    fields: dict[str, str] = {}
    for name in _RECORDED:
        value = record.get(name)
        if isinstance(value, dict):
            fields |= {f"{name}: {part}": _text(of) for part, of in value.items() if of is not None}
        elif value is not None:
            fields[name.replace("_", " ")] = str(value)
    return fields


def _text(value: object) -> str:
    """`float32 1a2b…` for fingerprints by dtype."""
    return ", ".join(f"{key} {of}" for key, of in value.items()) if isinstance(value, dict) else str(value)
