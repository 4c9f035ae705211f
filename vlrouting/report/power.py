"""How many seeds and test examples show a difference: `vlrouting power`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from vlrouting.config.names import counted
from vlrouting.experiment.errors import UserError
from vlrouting.report.comparison import Comparison, compare_runs
from vlrouting.report.console import standard_output
from vlrouting.report.paired import SIGNIFICANCE
from vlrouting.report.rows import collect
from vlrouting.statistics import POWER, Difference, Variances, power

SEEDS = tuple(range(1, 11))
SIZES = (0.25, 0.5, 1, 2, 4)
"""Test sets, as multiples of the present one."""


@dataclass(frozen=True)
class Assumptions:
    """What is stated instead of measured; None where the runs say it.

    Attributes:
        seed_std: standard deviation of one variant's score between training seeds. That of a difference is taken as
            sqrt(2) times as large: as if seeds that are paired had nothing in common.
        example_std: standard deviation, between clusters of test examples, of the difference between two variants.
            Where a share d of right-or-wrong answers differ, it is about 100 sqrt(d) with one example per cluster.
        clusters: of the test set.
        comparisons: differences that are tested together; Holm's method needs at most 0.05 / comparisons for each.
    """

    seed_std: float | None = None
    example_std: float | None = None
    clusters: int | None = None
    comparisons: int | None = None


@dataclass(frozen=True)
class PowerTable:
    """Attributes:
    difference: true difference, in the metric's unit.
    seeds: rows.
    clusters: columns, test sets of this many clusters; the present one is `present`.
    power: (seeds, clusters) -> probability that the difference is shown. Not for one seed, which gives no verdict.
    comparisons: differences that are tested together.
    source: where the variances come from.
    """

    difference: float
    seeds: tuple[int, ...]
    clusters: tuple[int, ...]
    present: int
    comparisons: int
    source: str
    power: dict[tuple[int, int], float] = field(default_factory=dict)

    @property
    def enough(self) -> int | None:
        """The fewest seeds that show the difference on the present test set with 80% power."""
        return next((s for s in sorted(self.seeds) if self.power.get((s, self.present), 0) >= POWER), None)


def measured(experiment_runs: Path) -> Comparison | None:
    """The comparison of the runs so far; None where there are no complete ones."""
    if not any(row.complete for row in collect(experiment_runs)):
        return None
    return compare_runs([experiment_runs])


def power_table(
    difference: float,
    found: Comparison | None = None,
    *,
    assumed: Assumptions | None = None,
    seeds: Sequence[int] = SEEDS,
) -> PowerTable:
    """The power of comparisons with other numbers of seeds and test examples.

    Args:
        difference: between two variants, in the metric's unit.
        found: the comparison of the runs so far.
        assumed: takes the place of what the runs show.
        seeds: numbers of seeds.

    Raises:
        UserError: the runs do not show a variance, and it is not stated.
    """
    assumed = assumed or Assumptions()
    if not difference > 0:
        raise UserError(f"--difference {difference:g}: give a difference above 0, in the metric's unit.")
    differences = [v.difference for v in found.variants if v.difference is not None] if found else []
    variances, source = _variances(differences, assumed)
    present = assumed.clusters or (found.clusters if found else 0)
    if present < 2:
        raise UserError("no run has scores of test examples: state with --clusters how many the test set has.")
    comparisons = assumed.comparisons or max(1, len(differences))
    sizes = tuple(dict.fromkeys(max(2, round(present * size)) for size in SIZES))
    confidence = 1 - SIGNIFICANCE / comparisons
    shown = {
        (count, size): power(difference, count, clusters=size, variances=variances, confidence=confidence)
        for count in seeds
        for size in sizes
        if count > 1
    }
    return PowerTable(difference, tuple(seeds), sizes, present, comparisons, source, shown)


def _variances(differences: Sequence[Difference], assumed: Assumptions) -> tuple[Variances, str]:
    """The median over the variants of each component, or what is stated, and where it comes from."""
    several = [difference for difference in differences if difference.has_seed_component]
    pooled = several or differences
    if not several and assumed.seed_std is None:
        raise UserError(
            "no difference to a baseline was measured with several seeds: state the standard deviation of a score "
            "between seeds with --assume-seed-std."
        )
    if not pooled and assumed.example_std is None:
        raise UserError(
            "no difference to a baseline was measured: state its standard deviation between test examples with "
            "--assume-example-std."
        )
    seed, cluster, both = (
        median(getattr(each.variances, name) for each in pooled) if pooled else 0.0
        for name in ("seed", "cluster", "both")
    )
    texts = [f"the runs: the median over {counted(len(pooled), 'difference')} to the baseline"] if pooled else []
    if assumed.seed_std is not None:
        seed, texts = 2 * assumed.seed_std**2, [*texts, f"an assumed std between seeds of {assumed.seed_std:g}"]
    if assumed.example_std is not None:
        cluster, both = assumed.example_std**2, 0.0
        texts.append(f"an assumed std between test examples of {assumed.example_std:g}")
        texts = texts if assumed.seed_std is None else texts[-2:]  # the runs say nothing then
    return Variances(seed=seed, cluster=cluster, both=both), " and ".join(texts)


def show_power(found: PowerTable, console: Console | None = None) -> None:
    """Print the table, and the fewest seeds that are enough."""
    console = console or standard_output()
    title = f"Probability that a true difference of {found.difference:g} is shown"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD)
    table.add_column("seeds", justify="right")
    for size in found.clusters:
        mark = "\n(now)" if size == found.present else ""
        table.add_column(f"{counted(size, 'cluster')}{mark}", justify="right")
    for count in found.seeds:
        cells = [found.power.get((count, size)) for size in found.clusters]
        texts = ["no verdict" if cell is None else f"{100 * cell:.0f}%" for cell in cells]
        styles = ["bold" if cell is not None and cell >= POWER else "" for cell in cells]
        table.add_row(str(count), *(Text(text, style=style) for text, style in zip(texts, styles, strict=True)))
    console.print(table)
    for line in _said(found):
        console.print(line, soft_wrap=True, markup=False, highlight=False)


def _said(found: PowerTable) -> list[str]:
    tested = f"at 5% over {counted(found.comparisons, 'difference')} (Holm)" if found.comparisons > 1 else "at 5%"
    lines = [f"A difference is shown {tested}. Variances: {found.source}. Bold: at least {POWER:.0%}."]
    if found.enough is None:
        return [*lines, f"No number of seeds above shows it with {POWER:.0%} power on {found.present:,} clusters."]
    return [*lines, f"{counted(found.enough, 'seed')} show it with {POWER:.0%} power on {found.present:,} clusters."]
