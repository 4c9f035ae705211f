"""The table of variants in the report: what a cell shows, and the number that it is sorted by."""

from __future__ import annotations

from dataclasses import dataclass

from vlrouting.config.fit import spelled
from vlrouting.report.comparison import Comparison, Variant
from vlrouting.report.paired import BETTER, WORSE
from vlrouting.report.table import PARAMETERS, TIME, duration, memory
from vlrouting.statistics import Interval


@dataclass(frozen=True)
class Cell:
    """A cell.

    Attributes:
        text: what is read first.
        detail: what follows in small print.
        order: what the column is sorted by; None goes to the end.
        mark: `best`, `better`, `worse` or empty.
    """

    text: str
    detail: str = ""
    order: float | str | None = None
    mark: str = ""


@dataclass(frozen=True)
class Column:
    """A column.

    Attributes:
        title: its heading.
        cells: one per variant.
        is_number: whether larger values are of more interest, and are sorted to the top first.
    """

    title: str
    cells: list[Cell]
    is_number: bool = True


def columns(comparison: Comparison) -> list[Column]:
    """The columns that have anything to show, over the variants in their order."""
    variants = comparison.variants
    datasets = comparison.datasets
    others = [key for key in comparison.titles if key not in (comparison.metric, *datasets.values())]
    found = [
        Column("variant", [_name(comparison, variant) for variant in variants], is_number=False),
        Column("seeds", [_seeds(variant) for variant in variants]),
        *(
            Column(comparison.short_title(key), [_score(variant, key) for variant in variants])
            for key in datasets.values()
        ),
        Column(
            comparison.short_title(comparison.metric) if comparison.metric else "score",
            [_score(v, comparison.metric, is_best=v.tied_with_best) for v in variants],
        ),
        Column(
            f"{f'{comparison.short_title(comparison.metric)}: ' if datasets else ''}difference to the baseline",
            [_difference(variant) for variant in variants],
        ),
        Column("adjusted p", [_p_value(variant) for variant in variants], is_number=False),
        Column("verdict", [_verdict(variant) for variant in variants], is_number=False),
        *(
            Column(f"{name}: difference to the baseline", [_difference_on(variant, key) for variant in variants])
            for name, key in datasets.items()
        ),
        Column("tuned", [_tuned(variant) for variant in variants], is_number=False),
        Column(PARAMETERS, [_parameters(variant) for variant in variants]),
        Column(TIME, [Cell(duration(variant.seconds), order=variant.seconds) for variant in variants]),
        Column("peak memory", [Cell(memory(v.peak_memory_bytes), order=v.peak_memory_bytes) for v in variants]),
        *(Column(comparison.short_title(key), [_score(variant, key) for variant in variants]) for key in others),
    ]
    return [column for column in found if any(cell.text for cell in column.cells)]


def _name(comparison: Comparison, variant: Variant) -> Cell:
    details = ["baseline"] if variant in comparison.baselines else []
    if variant.control is not None:
        details.append(f"control: visual_input {variant.control}")
    return Cell(variant.label, ", ".join(details), variant.label)


def _seeds(variant: Variant) -> Cell:
    states = [row.status for row in variant.unfinished]
    counts = [f"{states.count(state)} {state}" for state in dict.fromkeys(states)]
    return Cell(str(len(variant.runs)), ", ".join(counts), len(variant.runs))


def _score(variant: Variant, metric: str, *, is_best: bool = False) -> Cell:
    mean, found, std = variant.mean(metric), variant.intervals.get(metric), variant.std(metric)
    if mean is None:
        return Cell("")
    detail = _range(found) if found is not None else f"± {std:.2f} (std)" if std is not None else ""
    return Cell(f"{mean:.2f}", detail, mean, "best" if is_best else "")


def _difference(variant: Variant) -> Cell:
    found = variant.difference
    return Cell("") if found is None else Cell(f"{found.mean:+.2f}", _range(found, sign="+"), found.mean)


def _difference_on(variant: Variant, metric: str) -> Cell:
    """On one of several datasets; marked where it is shown, over all variants and datasets."""
    judged = variant.on_datasets.get(metric)
    if judged is None:
        return Cell("")
    found, p = judged.difference, judged.adjusted_p
    adjusted = "" if p is None else ", p < 0.001" if p < 0.001 else f", p = {p:.3f}"
    mark = judged.verdict if judged.verdict in (BETTER, WORSE) else ""
    return Cell(f"{found.mean:+.2f}", f"{_range(found, sign='+')}{adjusted}", found.mean, mark or "")


def _range(found: Interval, sign: str = "") -> str:
    return f"{found.low:{sign}.2f} to {found.high:{sign}.2f}" + ("" if found.has_seed_component else ", this run only")


def _p_value(variant: Variant) -> Cell:
    p = variant.adjusted_p
    return Cell("") if p is None else Cell("< 0.001" if p < 0.001 else f"{p:.3f}", order=p)


def _verdict(variant: Variant) -> Cell:
    if variant.verdict is None:
        return Cell("" if variant.difference is None else "none: one seed")
    if variant.verdict in (BETTER, WORSE):
        return Cell(variant.verdict, order=variant.verdict, mark=variant.verdict)
    smallest = variant.difference.minimum_detectable if variant.difference is not None else None
    return Cell(variant.verdict, f"could have seen ≥ {smallest:.2f}" if smallest else "", variant.verdict)


def _tuned(variant: Variant) -> Cell:
    values = [f"{key} = {spelled(value)}" for key, value in variant.tuned.items()]
    edges = f"at the edge of the grid: {', '.join(variant.at_edge)}" if variant.at_edge else ""
    return Cell(", ".join(values), edges, ", ".join(values))


def _parameters(variant: Variant) -> Cell:
    count = variant.trainable_parameters
    total = variant.runs[0].total_parameters if variant.runs else None
    share = f"{100 * count / total:.2f}% of all" if count is not None and total else ""
    return Cell("" if count is None else f"{count:,.0f}", share, count)
