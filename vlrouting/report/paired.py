"""Differences between variants: which may be compared, and what is shown."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from vlrouting.report.rows import PROVENANCE
from vlrouting.report.test_sets import TestSets
from vlrouting.report.variants import PointGroup
from vlrouting.statistics import Difference, Resampled, holm, minimum_detectable

if TYPE_CHECKING:
    from vlrouting.report.comparison import Variant

SIGNIFICANCE = 0.05
BETTER, WORSE, NO_DIFFERENCE = "better", "worse", "no difference shown"


@dataclass(frozen=True)
class Judged:
    """A difference to the baseline, tested together with others.

    Attributes:
        difference: its minimum detectable difference is that of the adjusted test.
        adjusted_p: Holm's, over all that are tested together and have several seeds; None with one seed.
        verdict: as `Variant.verdict`.
    """

    difference: Difference
    adjusted_p: float | None = None
    verdict: str | None = None


class PairedVariants:
    """Compares the variants of a table with their baselines and with the best one.

    Attributes:
        reference: the variant that says what the others have to agree in, to be compared with the best: None where no
            variant has scores.
    """

    def __init__(self, groups: Sequence[PointGroup], tests: TestSets, metric: str, mixed: Collection[str]) -> None:
        """
        Args:
            groups: the points of each variant.
            tests: scores of examples.
            metric: key to compare by.
            mixed: fields of `PROVENANCE` in which variants may differ.
        """
        self._groups, self._tests, self._metric = groups, tests, metric
        self._fields = [field for field in PROVENANCE if field not in mixed]
        self.reference: PointGroup | None = None

    def compared(self, variants: Sequence[Variant], baselines: Mapping[int, int]) -> list[Variant]:
        """The variants with differences, verdicts and flags.

        Args:
            variants: in the order of the groups.
            baselines: place of a variant -> place of its baseline.
        """
        found = [self._split_flag(place, variant) for place, variant in enumerate(variants)]
        for place, base in baselines.items():
            found[place] = self._with_difference(found[place], place, base, variants[base].label)
        found = _with_verdicts(found)
        self.reference = self._find_reference(baselines)
        return self._with_ties(found)

    def difference(self, one: int, other: int, metric: str | None = None) -> Difference | None:
        """Of two variants, by their places, in the main metric unless said otherwise; None where they cannot be
        compared."""
        first, second = self._groups[one], self._groups[other]
        if first.differs_in or second.differs_in or self._obstacle(first, second):
            return None
        pair = self._paired(first, second, metric)
        return None if pair is None else pair[0].difference(pair[1])

    def on_datasets(
        self, variants: Sequence[Variant], baselines: Mapping[int, int], metrics: Sequence[str]
    ) -> list[Variant]:
        """The variants with their differences on each of several datasets.

        Args:
            variants: in the order of the groups.
            baselines: place of a variant -> place of its baseline.
            metrics: the datasets' main metrics.
        """
        pairs = [(place, base, metric) for place, base in baselines.items() for metric in metrics]
        found = {(place, key): self.difference(place, base, key) for place, base, key in pairs}
        measured = {at: difference for at, difference in found.items() if difference is not None}
        judged = dict(zip(measured, _judged(list(measured.values())), strict=True))
        return [
            replace(variant, on_datasets={key: judged[place, key] for key in metrics if (place, key) in judged})
            for place, variant in enumerate(variants)
        ]

    def _split_flag(self, place: int, variant: Variant) -> Variant:
        differs = [PROVENANCE[field] for field, _ in self._groups[place].differs_in]
        if not differs:
            return variant
        what = " and ".join(differs)
        flag = f"{variant.label}: the points of {variant.name} differ in {what}, so they are not averaged"
        names = " ".join(f"--mixed {field}" for field, _ in self._groups[place].differs_in)
        return replace(variant, flags=(*variant.flags, f"{flag} ({names} averages them)"))

    def _with_difference(self, variant: Variant, place: int, base: int, label: str) -> Variant:
        """The variant with its difference to a baseline, or with the reason why there is none."""
        group, other = self._groups[place], self._groups[base]
        variant = replace(variant, baseline=label)
        if group.differs_in or other.differs_in:
            return variant  # has a flag already
        if obstacle := self._obstacle(group, other):
            return replace(variant, flags=(*variant.flags, f"{variant.label} is not compared with {label}: {obstacle}"))
        pair = self._paired(group, other)
        return replace(variant, difference=pair[0].difference(pair[1])) if pair else variant

    def _obstacle(self, one: PointGroup, other: PointGroup) -> str:
        """Why two variants may not be compared; empty where they may."""
        for field in self._fields:
            values = [
                {row.provenance[field] for row in group.runs if field in row.provenance} for group in (one, other)
            ]
            if all(values) and values[0] != values[1]:
                return f"the {PROVENANCE[field]} differs (--mixed {field} compares them)"
        sets = [self._tests.examples(group.runs) for group in (one, other)]
        if all(sets) and self._tests.examples((*one.runs, *other.runs)) is None:
            return "other test examples"
        if {row.seed for row in one.runs}.isdisjoint(row.seed for row in other.runs):
            return "no seed in common"
        return ""

    def _paired(
        self, one: PointGroup, other: PointGroup, metric: str | None = None
    ) -> tuple[Resampled, Resampled] | None:
        """The main metric of both, or another one, over the seeds that both have; None where examples have no
        scores."""
        first, second = ({row.seed: row for row in group.runs} for group in (one, other))
        seeds = [seed for seed in first if seed in second]
        key = metric or self._metric
        pair = [self._tests.resampled([runs[seed] for seed in seeds], key) for runs in (first, second)]
        if not seeds or pair[0] is None or pair[1] is None:
            return None
        return pair[0], pair[1]

    def _find_reference(self, baselines: Mapping[int, int]) -> PointGroup | None:
        """The baseline of most variants; without one, the variant with most runs."""
        complete = [place for place, group in enumerate(self._groups) if group.runs]
        uses = list(baselines.values())
        most = max(complete, key=lambda place: (uses.count(place), len(self._groups[place].runs)), default=None)
        return None if most is None else self._groups[most]

    def _with_ties(self, variants: Sequence[Variant]) -> list[Variant]:
        """Marks the best variant and those that no difference to it is shown for. One seed says neither."""
        scored = [
            place
            for place, variant in enumerate(variants)
            if self._metric in variant.intervals
            and len(variant.runs) > 1
            and self.reference is not None
            and not self._groups[place].differs_in
            and not self._obstacle(self._groups[place], self.reference)
        ]
        best = max(scored, key=lambda place: variants[place].intervals[self._metric].mean, default=None)
        tied = [place for place in scored if best is not None and self._is_tied(place, best)]
        return [replace(variant, tied_with_best=place in tied) for place, variant in enumerate(variants)]

    def _is_tied(self, place: int, best: int) -> bool:
        if place == best:
            return True
        pair = self._paired(self._groups[best], self._groups[place])
        if pair is None or len(pair[0].values) < 2:
            return False
        return pair[0].difference(pair[1]).p_value >= SIGNIFICANCE


def _with_verdicts(variants: Sequence[Variant]) -> list[Variant]:
    """Adjusted p-values and verdicts of the comparisons that have several seeds."""
    found = list(variants)
    places = [place for place, variant in enumerate(found) if variant.difference is not None]
    judged = _judged([difference for variant in found if (difference := variant.difference) is not None])
    for place, of in zip(places, judged, strict=True):
        found[place] = replace(found[place], **vars(of))
    return found


def _judged(differences: Sequence[Difference]) -> list[Judged]:
    """Differences that are tested together: p-values are adjusted over those that have several seeds."""
    tested = [place for place, difference in enumerate(differences) if has_seeds(difference)]
    adjusted = dict(zip(tested, holm([differences[place].p_value for place in tested]), strict=True))
    found = []
    for place, difference in enumerate(differences):
        if place not in adjusted:
            found.append(Judged(difference))
            continue
        detectable = minimum_detectable(difference, 1 - SIGNIFICANCE / len(tested))
        better = BETTER if difference.mean > 0 else WORSE
        verdict = better if adjusted[place] < SIGNIFICANCE else NO_DIFFERENCE
        shown = replace(difference, minimum_detectable=detectable)
        found.append(Judged(shown, adjusted[place], verdict))
    return found


def has_seeds(difference: Difference | None) -> bool:
    """Whether a difference was measured, with more than one seed."""
    return difference is not None and difference.has_seed_component
