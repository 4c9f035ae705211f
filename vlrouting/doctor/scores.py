"""What this machine can score: Java, and the jars of the caption scores."""

from __future__ import annotations

from collections.abc import Iterator

from vlrouting.config import METRICS, ExperimentConfig
from vlrouting.config.finding import OK, WARNING, Finding
from vlrouting.doctor.subject import KeyOf, RunContext

PLACE = "scores"


def programs(config: ExperimentConfig, context: RunContext, key_of: KeyOf) -> Iterator[Finding]:
    """Every score of the dataset can be computed."""
    names: dict[str, list[str]] = {}
    for name, reason in METRICS.load(config.metric).missing(config.evaluate).items():
        names.setdefault(reason, []).append(name)
    for reason, lacking in names.items():
        found = f"{', '.join(lacking)} cannot be computed: {reason}"
        yield Finding(WARNING, PLACE, found, "see to it before the test, or score the predictions later")
    if not names:
        yield Finding(OK, PLACE, f"all that {config.data.name} is scored by can be computed")
