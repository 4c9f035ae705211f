"""Learning curves, a panel per variant: the mean over the seeds, and a band from the lowest to the highest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from vlrouting.report.learning_curves import LOSS, Array, Curve
from vlrouting.report.plots.plot import Plot, padded
from vlrouting.report.plots.style import BLUE, GRID, panels, wrapped

MOST_POINTS = 60
"""Of a curve; what has more is averaged over steps, which also smooths the loss of single batches."""


def curves(found: Mapping[str, Sequence[Curve]]) -> list[Plot]:
    """A plot per tag: `train/loss`, `validation/vqa_accuracy`."""
    return [_plot(tag, of_variants) for tag, of_variants in found.items()]


def _plot(tag: str, of_variants: Sequence[Curve]) -> Plot:
    name = "learning_curves_" + tag.replace("/", "_")
    title = f"Learning curves: {tag}"
    if not of_variants:
        return Plot(name, title, _missing(tag))
    thinned = [_thinned(curve) for curve in of_variants]
    figure, axes = panels(len(thinned))
    for place, curve in zip(axes, thinned, strict=True):
        for other in thinned:
            place.plot(other.steps, other.values.mean(0), color=GRID, linewidth=1.0, zorder=1)
        if len(curve.values) > 1:
            band = curve.values.min(0), curve.values.max(0)
            place.fill_between(curve.steps, *band, color=BLUE, alpha=0.25, linewidth=0, zorder=2)
        place.plot(curve.steps, curve.values.mean(0), color=BLUE, linewidth=1.4, zorder=3)
        place.set_title(wrapped(curve.label), loc="left")
    axes[0].set_ylim(*padded(value for curve in thinned for value in curve.values.ravel()))
    figure.supxlabel("optimizer step", fontsize=8.5)
    figure.supylabel(tag, fontsize=8.5)
    return Plot(name, title, _text(tag, of_variants), figure)


def _missing(tag: str) -> str:
    if tag == LOSS:
        return "The runs have no TensorBoard files with two steps or more (`train.log_every_steps`)."
    return f"{tag} was measured fewer than twice in training; `train.validate_every_steps` measures it more often."


def _text(tag: str, of_variants: Sequence[Curve]) -> str:
    text = f"{tag} over the training; the other variants in gray."
    if any(len(curve.values) > 1 for curve in of_variants):
        text = f"Mean of {text} The band reaches from the lowest seed to the highest."
    if any(len(curve.steps) > MOST_POINTS for curve in of_variants):
        text += f" Neighbouring steps are averaged, to at most {MOST_POINTS} points a curve."
    return text


def _thinned(curve: Curve) -> Curve:
    if len(curve.steps) <= MOST_POINTS:
        return curve
    size = -(-len(curve.steps) // MOST_POINTS)
    starts = range(0, len(curve.steps), size)

    def averaged(values: Array) -> Array:
        return np.stack([values[..., start : start + size].mean(-1) for start in starts], axis=-1)

    return Curve(curve.label, averaged(curve.steps), averaged(curve.values))
