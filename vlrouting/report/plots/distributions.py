"""What the data are like: lengths of the texts and common answers, the splits side by side."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from vlrouting.config.names import counted, listed, printable
from vlrouting.data.inspection.description import Lengths, SplitDescription
from vlrouting.report.fonts import families
from vlrouting.report.plots.plot import Plot
from vlrouting.report.plots.style import BLUE, GREEN, INK, ORANGE, new_figure

UNITS = ("words", "tokens")
ANSWER_WIDTH = 26
"""Characters of an answer that are shown."""
_BINS = 60
_COVERED = 0.995
"""Share of the texts that the axis covers; longer ones are counted at its end where they would stretch it."""
_STRETCHED = 1.5
_LINES = (("-", "D", ORANGE), ("--", "o", GREEN), (":", "s", INK))
"""Line, mark and colour of the splits after the first."""
_ABOVE: dict[str, Any] = {"loc": "lower right", "bbox_to_anchor": (1.0, 1.0), "borderaxespad": 0.2}
"""Where a legend covers nothing."""
_PERCENT = FuncFormatter(lambda share, _: f"{100 * share:.4g}%")


def distribution_plots(splits: Sequence[SplitDescription], prefix: str = "") -> list[Plot]:
    """A plot of the lengths in words, one in tokens where they are known, and one of the answers where there are any.

    Args:
        splits: the first one is drawn as bars, the others over it.
        prefix: of the plots' names.
    """
    plots = []
    for unit in UNITS:
        if with_lengths(splits, unit):
            figure, axes = new_figure(2.3)
            draw_lengths(axes, splits, unit)
            plots.append(Plot(f"{prefix}lengths_{unit}", f"Length in {unit}", _lengths_text(splits, unit), figure))
    if answered := with_answers(splits):
        figure, axes = new_figure(0.7 + 0.17 * len(answer_labels(answered[0])))
        draw_answers(axes, splits)
        plots.append(Plot(f"{prefix}answers", "Most common answers", _answers_text(splits), figure))
    return plots


def with_lengths(splits: Sequence[SplitDescription], unit: str) -> list[tuple[SplitDescription, Lengths]]:
    """The splits whose lengths in this unit are known."""
    found = [(split, lengths) for split in splits for lengths in split.lengths if lengths.unit == unit]
    return [(split, lengths) for split, lengths in found if lengths.counts][: 1 + len(_LINES)]


def with_answers(splits: Sequence[SplitDescription]) -> list[SplitDescription]:
    """The splits that have answers."""
    return [split for split in splits if split.top_answers][: 1 + len(_LINES)]


def draw_lengths(axes: Axes, splits: Sequence[SplitDescription], unit: str) -> None:
    """The share of the texts by length: bars for the first split, lines for the others."""
    found = with_lengths(splits, unit)
    end = _end(lengths for _, lengths in found)
    edges = np.arange(0, end + 1 + (width := -(-(end + 1) // _BINS)), width) - 0.5
    highest = 0.0
    for place, (split, lengths) in enumerate(found):
        values = np.minimum(list(lengths.counts), end)
        weights = np.array(list(lengths.counts.values()), dtype=float)
        shares, _ = np.histogram(values, edges, weights=weights / weights.sum())
        highest = max(highest, shares.max())
        if place == 0:
            axes.stairs(shares, edges, fill=True, color=BLUE, alpha=0.75, label=split.name)
        else:
            style, _, color = _LINES[place - 1]
            axes.stairs(shares, edges, color=color, linestyle=style, linewidth=1.3, label=split.name)
    _mark_limit(axes, found[0][1], end)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(0, 1.08 * highest)
    axes.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
    axes.yaxis.set_major_formatter(_PERCENT)
    axes.set_xlabel(f"{unit} of a {found[0][0].texts.removesuffix('s')}")
    axes.set_ylabel(f"share of {found[0][0].texts}")
    axes.grid(True, axis="y")
    axes.set_axisbelow(True)
    if len(found) > 1:
        axes.legend(**_ABOVE, ncols=len(found))


def _end(found: Iterable[Lengths]) -> int:
    """The longest length that has a place of its own."""
    longest = covering = 1
    for lengths in found:
        share, total = np.cumsum(list(lengths.counts.values())), sum(lengths.counts.values())
        covering = max(covering, list(lengths.counts)[int(np.searchsorted(share, _COVERED * total))])
        longest = max(longest, *lengths.counts)
    return covering if longest > _STRETCHED * covering else longest


def _mark_limit(axes: Axes, lengths: Lengths, end: int) -> None:
    """The length from which training cuts, where a text is that long."""
    if lengths.limit is not None and lengths.limit <= end:
        axes.axvline(lengths.limit + 0.5, color=ORANGE, linestyle=(0, (1, 1.5)), linewidth=1.2)


def draw_answers(axes: Axes, splits: Sequence[SplitDescription]) -> None:
    """The share of the questions by answer: the first split's most common answers as bars, marks for the others."""
    first, *others = with_answers(splits)
    labels = answer_labels(first)
    rows = range(len(labels))
    axes.barh(rows, _shares(first, first), color=BLUE, alpha=0.75, height=0.7)
    for split, (_, mark, color) in zip(others, _LINES, strict=False):
        axes.plot(_shares(split, first), rows, mark, color=color, markersize=3.6, markeredgewidth=0)
    axes.set_yticks(rows, labels, fontfamily=families())
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.xaxis.set_major_formatter(_PERCENT)
    axes.set_xlim(0)
    axes.set_xlabel("share of questions")
    axes.grid(True, axis="x")
    axes.set_axisbelow(True)
    if others:
        axes.legend(**_ABOVE, handles=_legend(first, others), ncols=1 + len(others))


def _shares(split: SplitDescription, first: SplitDescription) -> list[float]:
    """Shares of a split's questions that have the first split's most common answers, and at last the others; NaN where
    that is not known, because the answer is none of the most common ones of this split."""
    total = sum(split.top_answers.values()) + split.other_answers
    known = [
        split.top_answers.get(answer, 0 if not split.other_answers else float("nan")) for answer in first.top_answers
    ]
    rest = [total - sum(known)] if first.other_answers else []
    return [count / total for count in (*known, *rest)]


def answer_labels(split: SplitDescription) -> list[str]:
    """What the rows of a split's answers are called: the most common ones, and at last the others."""
    found = [" ".join(printable(answer).split()) or "(empty)" for answer in split.top_answers]
    labels = [text if len(text) <= ANSWER_WIDTH else f"{text[: ANSWER_WIDTH - 1]}…" for text in found]
    others = counted(split.distinct_answers - len(split.top_answers), "other")
    return [*labels, *([f"({others})"] if split.other_answers else [])]


def _legend(first: SplitDescription, others: Sequence[SplitDescription]) -> list[Patch | Line2D]:
    marks = zip(others, _LINES, strict=False)
    lines = [
        Line2D([], [], linestyle="", marker=mark, color=color, label=split.name) for split, (_, mark, color) in marks
    ]
    return [Patch(color=BLUE, alpha=0.75, label=first.name), *lines]


def _lengths_text(splits: Sequence[SplitDescription], unit: str) -> str:
    found = with_lengths(splits, unit)
    means = listed(f"{lengths.mean:.1f} in {split.name} (at most {lengths.most:,})" for split, lengths in found)
    text = f"Mean: {means}."
    end = _end(lengths for _, lengths in found)
    if any(max(lengths.counts) > end for _, lengths in found):
        text += f" Those longer than {end} are counted there."
    of_first = found[0][1]
    if of_first.limit is not None:
        text += f" {of_first.limit_key} cuts at {of_first.limit:,}: {of_first.over_limit:.1%} of {found[0][0].name}."
    return text + _described(splits)


def _answers_text(splits: Sequence[SplitDescription]) -> str:
    first = with_answers(splits)[0]
    distinct = counted(first.distinct_answers, "distinct answer")
    return f"Share of the questions by their most common answer. {first.name} has {distinct}.{_described(splits)}"


def _described(splits: Sequence[SplitDescription]) -> str:
    parts = [
        f"{split.described:,} of {split.examples:,} of {split.name}"
        for split in splits
        if split.described < split.examples
    ]
    return f" Looked at: {listed(parts)} examples, evenly spaced." if parts else ""
