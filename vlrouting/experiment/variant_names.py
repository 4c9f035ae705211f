"""Names of variants: a variant is the points that differ in nothing but the seed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress

from vlrouting.config.names import did_you_mean, listed
from vlrouting.experiment.compose import STORED, Composition, compose, run_name
from vlrouting.experiment.document import COMMAND_LINE
from vlrouting.experiment.errors import Diagnostic, UserError
from vlrouting.experiment.sweep import DEFAULT_POINT

BASELINE = "compare.baseline"


def variant_name(point: str) -> str:
    """`routing=add,seed=42` -> `routing=add`."""
    return ",".join(part for part in point.split(",") if not part.startswith("seed=")) or DEFAULT_POINT


def configured_baselines(experiments: Iterable[str]) -> dict[str, str | None]:
    """Name of an experiment -> its `compare.baseline`; one that has no file, or a damaged one, is left out."""
    found = {}
    for name in experiments:
        with suppress(UserError):
            leaf = compose(name).leaves.get(BASELINE)
            found[run_name(name)] = leaf.value if leaf is not None and isinstance(leaf.value, str) else None
    return found


def check_baseline(composition: Composition, points: Iterable[str]) -> Iterator[Diagnostic]:
    """A `compare.baseline` that names no variant.

    A run's config.yaml has one point of its sweep, and its baseline is not checked. Other settings on the command line
    may have changed the names of the points: then only a baseline is checked that is given there as well.

    Args:
        composition: of the experiment.
        points: names of all points, also of those that the command line leaves out.
    """
    for swept in composition.every_leaf():
        if swept.key == BASELINE and swept.path != BASELINE:
            yield swept.diagnostic("holds for the whole experiment", "; take it out of the sweep")
    leaf = composition.leaves.get(BASELINE)
    stored = composition.source.name == STORED
    if leaf is None or not isinstance(leaf.value, str) or composition.incomplete or stored:
        return
    if leaf.file != COMMAND_LINE and composition.overridden:
        return
    known = list(dict.fromkeys(map(variant_name, points)))
    if leaf.value not in known:
        hint = did_you_mean(leaf.value, known) or f" The variants: {listed(known)}."
        yield leaf.diagnostic(f"no variant '{leaf.value}'", f".{hint}")
