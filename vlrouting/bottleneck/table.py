"""What was attached, as a table: `repr(routed)`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    from vlrouting.bottleneck.routed import Routed

_HEADING = ("name", "kind", "routing", "rank", "targets", "parameters")


def places_of_blocks(name: str) -> str:
    """A module name with a star for the number of its block: `encoder.layers.*.fc1`."""
    return re.sub(r"(?<![^.])\d+(?![^.])", "*", name)


def table_of(routed: Routed) -> str:
    """A line per configuration and kind of target; blocks are counted: `12 x encoder.layer.*.attention.self.query`."""
    lines: list[tuple[str, ...]] = []
    for name, config in routed.configs.items():
        targets: dict[str, set[str]] = {}
        parameters: dict[str, list[nn.Parameter]] = {}
        counted: set[nn.Parameter] = set()  # several bottlenecks may share one
        for bottleneck in routed.bottlenecks.values():
            if bottleneck.name == name:
                names = places_of_blocks(bottleneck.target.name)
                targets.setdefault(names, set()).add(bottleneck.target.name)
                own = [parameter for parameter in bottleneck.parameters() if parameter not in counted]
                parameters.setdefault(names, []).extend(own)
                counted.update(own)
        facts = (name, config.kind, config.routing_names, str(getattr(config, "rank", "-")))
        per_task = f" per task ({', '.join(routed.tasks)})" if config.per_task else ""
        for names, found in targets.items():
            count = sum(parameter.numel() for parameter in parameters[names])
            lines.append((*facts, f"{len(found)} x {names}{per_task}", f"{count:,}"))
        if not targets:
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
