"""What `vlrouting analyse` found, from analysis.json in the run directories."""

from __future__ import annotations

import statistics
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from vlrouting.config.experiment import SINGLE
from vlrouting.experiment.errors import UserError
from vlrouting.experiment.json_file import read_object
from vlrouting.report.comparison import Variant

FILE = "analysis.json"
NUMBERS = {
    "relative_size": "size of what routing adds",
    "image_dependence": "image dependence",
    "effective_rank_before": "effective rank before",
    "effective_rank_after": "effective rank after",
    "cka": "CKA of text and image",
}
"""Field of a layer -> what it is called."""


@dataclass(frozen=True)
class RoutingAnalysis:
    """Of one variant, from its first run that was analysed; of several datasets, on one of them.

    Attributes:
        label: the variant's, with the dataset's name where there are several.
        seed: of the run.
        examples: how many were analysed.
        layers: name of the layer -> its values of `NUMBERS`; None where a value is not defined.
        means: over the layers.
        answers_changed: `swapped`, `removed` -> share of the answers, 0 to 1; what does not apply is left out.
        intervals: the same -> low, high.
    """

    label: str
    seed: int | None
    examples: int
    layers: dict[str, list[float | None]]
    means: list[float | None]
    answers_changed: dict[str, float]
    intervals: dict[str, list[float]]


def routing_analyses(variants: Iterable[Variant]) -> tuple[list[RoutingAnalysis], list[str]]:
    """The analyses, and what could not be read."""
    found, notes = [], []
    for variant in variants:
        for row in variant.runs:
            path = row.folder / FILE if row.folder is not None else None
            if path is None or not path.exists():
                continue
            try:
                content = read_object(path)
                several = content.get("datasets")
                of_dataset = {f"{variant.label}: {name}": of for name, of in several.items()} if several else {}
                of_dataset = of_dataset or {variant.label: content}
                found += [_analysis(label, row.seed, of) for label, of in of_dataset.items()]
                break
            except (UserError, KeyError, TypeError, AttributeError, ValueError) as error:
                text = str(error) if isinstance(error, UserError) else f"{path} is damaged."
                notes.append(f"{text} `vlrouting analyse` writes it again.")
    return found, notes


def _analysis(label: str, seed: int | None, content: dict[str, Any]) -> RoutingAnalysis:
    measured = [layer for layer in content["layers"] if not layer.get("not_measured")]
    layers = {_layer_name(layer): [_number(layer.get(name)) for name in NUMBERS] for layer in measured}
    columns = [[row[number] for row in layers.values()] for number in range(len(NUMBERS))]
    known = [[value for value in column if value is not None] for column in columns]
    means = [statistics.fmean(column) if column else None for column in known]
    changed = {str(how): float(share) for how, share in content.get("answers_changed", {}).items() if share is not None}
    ends = content.get("answers_changed_interval", {})
    intervals = {how: [float(end) for end in ends[how]] for how in changed if ends.get(how)}
    return RoutingAnalysis(label, seed, int(content["examples"]), layers, means, changed, intervals)


def _layer_name(layer: dict[str, Any]) -> str:
    """The module, and what else tells bottlenecks on the same one apart."""
    tower = "vision: " if layer.get("tower") == "vision" else ""
    bottleneck = layer.get("bottleneck", SINGLE)
    return f"{tower}{layer['name']}" + (f" ({bottleneck})" if bottleneck != SINGLE else "")


def _number(value: object) -> float | None:
    return None if value is None else float(str(value))
