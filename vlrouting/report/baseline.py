"""What each variant is compared with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vlrouting.config import KINDS
from vlrouting.config.names import did_you_mean
from vlrouting.experiment.errors import UserError
from vlrouting.report.rows import Row
from vlrouting.report.variants import PointGroup


@dataclass(frozen=True)
class Baselines:
    """Attributes:
    of: index of a group -> index of the group that it is compared with.
    missing: why some have none, and what to do; empty where nothing is missing.
    """

    of: Mapping[int, int]
    missing: tuple[str, ...] = ()


def named_baselines(groups: Sequence[PointGroup], name: str) -> list[int]:
    """The groups that have this name, or `experiment: name`.

    Raises:
        UserError: none has; the text has a did-you-mean.
    """
    found = [place for place, group in enumerate(groups) if name in (group.name, f"{group.experiment}: {group.name}")]
    if not found:
        known = list(dict.fromkeys(group.name for group in groups))
        hint = did_you_mean(name, known) or f" The variants: {', '.join(known)}."
        raise UserError(f"no variant '{name}'.{hint}")
    return found


def choose_baselines(groups: Sequence[PointGroup], named: Sequence[int] | None = None) -> Baselines:
    """The baseline of every variant that has one.

    Without a name, baselines are those variants with plain bottlenecks (`routing: none`) that read the image and that
    are nearest to a routed variant: that differ from it in the fewest keys, apart from the tuned ones.

    Args:
        groups: all variants.
        named: the only ones that may be a baseline.
    """
    complete = [place for place, group in enumerate(groups) if group.runs]
    if named is not None:
        chosen = [place for place in named if groups[place].runs]
        ambiguous: list[int] = []
    else:
        plain = [place for place in complete if _is_plain(groups[place].runs[0])]
        routed = [
            place for place in complete if reads_image(groups[place].runs[0]) and is_routed(groups[place].runs[0])
        ]
        nearest = {place: _nearest(groups, place, plain) for place in routed}
        chosen = sorted({found[0] for found in nearest.values() if len(found) == 1})
        chosen = chosen or (plain if len(plain) == 1 else [])
        ambiguous = [place for place, found in nearest.items() if len(found) > 1]
    of = {}
    for place in complete:
        found = _nearest(groups, place, chosen)
        if found and place not in chosen and place not in ambiguous:
            of[place] = found[0]
    return Baselines(of, tuple(_missing(groups, complete, of, chosen, ambiguous)))


def _missing(
    groups: Sequence[PointGroup], complete: list[int], of: Mapping[int, int], chosen: list[int], ambiguous: list[int]
) -> list[str]:
    if len(complete) < 2 or (of and not ambiguous):
        return []
    names = [f"'{groups[place].name}'" for place in (ambiguous or complete)]
    what = f"several baselines fit {', '.join(names)} equally" if ambiguous else "a baseline"
    return [f"{what} (name one: --baseline {groups[complete[0]].name}, or compare.baseline in the experiment)"]


def _nearest(groups: Sequence[PointGroup], place: int, candidates: Sequence[int]) -> list[int]:
    """The candidates that differ in the fewest keys; of equal ones those of the same experiment."""

    def distance(other: int) -> tuple[int, bool]:
        return (
            differing_keys(groups[place].runs[0], groups[other].runs[0]),
            groups[other].experiment != groups[place].experiment,
        )

    others = [other for other in candidates if other != place]
    least = min(map(distance, others), default=None)
    return [other for other in others if distance(other) == least]


def differing_keys(one: Row, other: Row) -> int:
    """In how many keys two points differ, apart from the seed and from what was tuned."""
    tuned = {*one.tuned, *other.tuned}
    first, second = settings_beside(one, *tuned), settings_beside(other, *tuned)
    absent = object()
    return sum(first.get(key, absent) != second.get(key, absent) for key in first | second)


def settings_beside(row: Row, *keys: str) -> dict[str, object]:
    """A point's settings without some keys and without what was tuned."""
    return {key: value for key, value in row.settings.items() if key not in keys and key not in row.tuned}


def reads_image(row: Row) -> bool:
    """Whether the point is no control: it has the image of its own example."""
    return row.settings.get("model.visual_input", "image") == "image"


def is_routed(row: Row) -> bool:
    """Whether the image goes through a bottleneck."""
    return any(routed for _, routed in _bottlenecks(row))


def _is_plain(row: Row) -> bool:
    """Whether the point has bottlenecks, none of them routed, and reads the image."""
    attaches = any(kind not in KINDS or KINDS.facts(kind).attaches for kind, _ in _bottlenecks(row))
    return attaches and not is_routed(row) and reads_image(row)


def _bottlenecks(row: Row) -> list[tuple[str, bool]]:
    """Kind of each, and whether a routing function is given anywhere in its section."""
    several = any(key.startswith("bottlenecks.") for key in row.settings)
    kinds = [key for key in row.settings if key.startswith("bottlenecks." if several else "bottleneck.")]
    return [
        (str(row.settings[key]), _gives_routing(row, key.removesuffix("kind")))
        for key in kinds
        if key.endswith(".kind")
    ]


def _gives_routing(row: Row, section: str) -> bool:
    given = (value for key, value in row.settings.items() if key.startswith(section) and key.endswith(".routing"))
    return any(value not in (None, "none") for value in given)
