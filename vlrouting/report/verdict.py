"""A comparison in words: the verdict in two sentences, and what is missing for one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from vlrouting.config.fit import spelled
from vlrouting.config.names import listed
from vlrouting.report.baseline import is_routed, reads_image, settings_beside
from vlrouting.report.paired import BETTER, NO_DIFFERENCE, SIGNIFICANCE, WORSE, has_seeds

if TYPE_CHECKING:
    from vlrouting.report.comparison import Comparison, Variant
    from vlrouting.statistics import Difference

LEARNING_RATE = "train.lr"
VISUAL_INPUT = "model.visual_input"
NO_INFORMATION = ("shuffled", "noise", "ones")
"""Values of `model.visual_input` with an image that says nothing of the example."""


def missing_for_a_verdict(found: Comparison, baseline: Sequence[str] = ()) -> tuple[str, ...]:
    """What is missing, as noun phrases; nothing where there are not two variants to compare.

    Args:
        found: the comparison.
        baseline: what is missing of the baselines.
    """
    complete = found.complete
    if len(found.variants) < 2:
        return ()
    single = [variant for variant in complete if len(variant.runs) == 1]
    seeds = sorted({row.seed for variant in complete for row in variant.runs if row.seed is not None})
    lacking = [(variant.label, _lacking(variant, seeds)) for variant in complete if len(variant.runs) > 1]
    untuned = [variant for variant in complete if LEARNING_RATE not in variant.tuned]
    unscored = [variant for variant in complete if found.metric not in variant.intervals]
    parts = {
        "more than one training seed (sweep.seeds)": _who(single, complete),
        "a learning rate tuned per variant (sweep.tune)": _who(untuned, complete),
        "a wider tuning grid": listed(
            f"{variant.label} has {key}={spelled(variant.tuned.get(key))} at its edge"
            for variant in complete
            for key in variant.at_edge
        ),
        "seeds": listed(f"{label} lacks {', '.join(map(str, left))}" for label, left in lacking if left),
        "complete points": listed(f"{row.variant} {row.status}" for v in found.variants for row in v.unfinished),
        "scores of single test examples (vlrouting evaluate)": _who(unscored, complete),
    }
    return tuple([*(f"{what}: {who}" for what, who in parts.items() if who), *baseline])


def _lacking(variant: Variant, seeds: Iterable[int]) -> list[int]:
    return [seed for seed in seeds if seed not in {row.seed for row in variant.runs}]


def _who(some: Sequence[Variant], every: Sequence[Variant]) -> str:
    return "all variants" if some and len(some) == len(every) else listed(variant.label for variant in some)


def control_flags(found: Comparison, difference: Callable[[Variant, Variant], Difference | None]) -> list[str]:
    """The effects of routing that are there as well with an image that says nothing of the example.

    The effect under a control is that over the baseline's own counterpart under it, where that was trained; else over
    the baseline.

    Args:
        found: the comparison.
        difference: of the first variant less the second, where they can be compared.
    """
    flags = []
    for variant in found.complete:
        base = next((other for other in found.baselines if other.label == variant.baseline), None)
        first = variant.runs[0]
        if base is None or variant.verdict != BETTER or not (is_routed(first) and reads_image(first)):
            continue
        for control in NO_INFORMATION:
            routed, plain = (_under(control, found, original) for original in (variant, base))
            if routed is None:
                continue
            plain = plain or base
            effect = difference(routed, plain)
            if effect is not None and has_seeds(effect) and effect.mean > 0 and effect.p_value < SIGNIFICANCE:
                flags.append(
                    f"the effect of {variant.label} survives {control} images: {routed.label} is better than "
                    f"{plain.label} too, so not all of it comes from what the image shows"
                )
    return flags


def _under(control: str, found: Comparison, variant: Variant) -> Variant | None:
    """The variant with the same settings under a control."""
    own = settings_beside(variant.runs[0], VISUAL_INPUT)
    same = (v for v in found.complete if v.control == control and settings_beside(v.runs[0], VISUAL_INPUT) == own)
    return next(same, None)


def summary(found: Comparison) -> str:
    """The verdict in two sentences; with a word in front where something is missing for one."""
    scored = [variant for variant in found.complete if variant.mean(found.metric) is not None]
    if not scored:
        return "No point is complete yet."
    best = max(scored, key=lambda variant: (variant.tied_with_best, variant.mean(found.metric)))
    score, title = f"{best.mean(found.metric):.2f}", found.short_title(found.metric)
    if len(scored) == 1:
        return f"{best.label} has {title} {score}; there is no other complete variant to compare it with."
    if not any(variant.verdict for variant in scored):
        return f"No verdict yet: {_why(found)}. {best.label} has the highest {title}, {score}, and that may be chance."
    tied = [variant.label for variant in scored if variant.tied_with_best and variant is not best]
    first = f"{best.label} has the highest {title}, {score}"
    first += (
        f"; no difference to it is shown for {listed(tied, 20)}."
        if tied
        else "; each other variant that can be compared is shown to be below it."
    )
    return f"{'Provisional: ' if found.missing else ''}{first} {_against_baselines(found, scored)}"


def _why(found: Comparison) -> str:
    if all(len(variant.runs) == 1 for variant in found.complete):
        return "each variant has one training seed, and another seed may change the order"
    return found.missing[0] if found.missing else "no two variants can be compared"


def _against_baselines(found: Comparison, scored: Sequence[Variant]) -> str:
    """`Against routing=none, mul is better; no difference is shown for add, where 0.5 or more would have been seen.`"""
    names = listed(variant.label for variant in found.baselines)
    parts = [
        f"{listed((v.label for v in group), 20)} {'is' if len(group) == 1 else 'are'} {verdict}"
        for verdict in (BETTER, WORSE)
        if (group := [variant for variant in scored if variant.verdict == verdict])
    ]
    if unclear := [variant for variant in scored if variant.verdict == NO_DIFFERENCE]:
        differences = [variant.difference.minimum_detectable for variant in unclear if variant.difference]
        sizes = sorted({f"{size:.2f}" for size in differences}, key=float)
        size = sizes[0] if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
        parts.append(
            f"no difference is shown for {listed((v.label for v in unclear), 20)}, where one of at least {size} would "
            "have been shown four times out of five"
        )
    return f"Against {names}, {'; '.join(parts)}."
