"""What was attached, as a table: `repr(routed)`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vlrouting.bottleneck.routed import Routed

_HEADING = ("name", "kind", "routing", "rank", "targets", "parameters")


def table_of(routed: Routed) -> str:
    """A line per configuration and kind of target; blocks are counted: `12 x encoder.layer.*.attention.self.query`."""
    lines: list[tuple[str, ...]] = []
    for name, config in routed.configs.items():
        found: dict[str, list[int]] = {}
        for target in routed.places[name]:
            key = target.name if len(routed.configs) == 1 else f"{name}:{target.name}"
            count = sum(parameter.numel() for parameter in routed.bottlenecks[key].parameters())
            found.setdefault(re.sub(r"\d+", "*", target.name), []).append(count)
        facts = (name, config.kind, config.routing, str(getattr(config, "rank", "-")))
        lines += [(*facts, f"{len(counts)} x {names}", f"{sum(counts):,}") for names, counts in found.items()]
        if not found:
            lines.append((*facts, "none", "0"))
    if routed.unfrozen:
        lines.append(("unfrozen", "", "", "", ", ".join(routed.unfrozen), f"{routed.unfrozen_parameters:,}"))
    return "\n".join([f"Routed({type(routed.model).__name__})", *_aligned([_HEADING, *lines]), share_of(routed)])


def share_of(routed: Routed) -> str:
    """`trainable parameters: 294,912 of 124,940,544 (0.24%)`."""
    total = sum(parameter.numel() for parameter in routed.model.parameters())
    trained = routed.trainable_parameters
    return f"trainable parameters: {trained:,} of {total:,} ({trained / max(1, total):.2%})"


def _aligned(lines: Sequence[Sequence[str]]) -> Iterable[str]:
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for *texts, number in lines:
        cells = [text.ljust(width) for text, width in zip(texts, widths, strict=False)]
        yield f"  {'  '.join(cells)}  {number.rjust(widths[-1])}"
