"""What this machine can score: Java, and the jars of the caption scores."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from vlrouting.config import DATASETS, METRICS, ExperimentConfig
from vlrouting.doctor.finding import OK, WARNING, Finding, from_sentence
from vlrouting.doctor.subject import Surroundings

PLACE = "scores"


def programs(config: ExperimentConfig, where: Surroundings) -> Iterator[Finding]:
    """Every score of the dataset can be computed."""

    names: dict[str, list[str]] = {}
    for name, reason in METRICS.load(DATASETS.facts(config.data.name).metric).missing(config.evaluate).items():
        names.setdefault(reason, []).append(name)
    for reason, lacking in names.items():
        finding = from_sentence(WARNING, PLACE, reason)
        yield replace(finding, found=f"{', '.join(lacking)} cannot be computed: {finding.found}")
    if not names:
        yield Finding(OK, PLACE, f"all that {config.data.name} is scored by can be computed")
