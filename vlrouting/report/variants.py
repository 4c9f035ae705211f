"""Points grouped into variants: what differs in nothing but the seed, and was made in the same way."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from vlrouting.experiment.variant_names import variant_name
from vlrouting.report.rows import PROVENANCE, Row

UNKNOWN = "unknown"
CODE_DIGITS = 8
"""Of a hash, where it is part of a name."""


@dataclass(frozen=True)
class PointGroup:
    """The points of one variant.

    Attributes:
        experiment: its name.
        name: of the points, without the seed.
        runs: complete points by seed.
        unfinished: the others.
        differs_in: field of `PROVENANCE` -> value, where the variant's points differ in it: they are not averaged, and
            each value has a group of its own.
    """

    experiment: str
    name: str
    runs: tuple[Row, ...]
    unfinished: tuple[Row, ...] = ()
    differs_in: tuple[tuple[str, str], ...] = ()


def grouped(rows: Sequence[Row], allowed: Collection[str] = ()) -> list[PointGroup]:
    """The variants of an experiment, in the order of the rows.

    Args:
        rows: of one experiment.
        allowed: fields of `PROVENANCE` in which points may differ that are averaged.
    """
    complete = [row for row in rows if row.complete]
    named = _named(_by_setting(complete))
    waiting: dict[str, list[Row]] = {}
    for row in rows:
        if not row.complete:
            waiting.setdefault(variant_name(row.variant), []).append(row)
    found = []
    for name, runs in named:
        parts = list(_split(runs, allowed))
        for number, (differs_in, part) in enumerate(parts):
            unfinished = waiting.pop(name, []) if number == len(parts) - 1 else []
            found.append(PointGroup(part[0].experiment, name, tuple(part), tuple(unfinished), differs_in))
    found += [PointGroup(left[0].experiment, name, (), tuple(left)) for name, left in waiting.items()]
    return found


def _by_setting(rows: Sequence[Row]) -> list[list[Row]]:
    """Points that differ only in the seed. Two of the same seed differ in what changes no result: they have a name of
    their own each, and are no replication of one another."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.setting, []).append(row)
    found: list[list[Row]] = []
    for group in groups.values():
        by_name: dict[str, list[Row]] = {}
        again = len({row.seed for row in group}) < len(group)
        for row in group:
            by_name.setdefault(variant_name(row.variant) if again else "", []).append(row)
        found += by_name.values()
    return found


def _named(groups: list[list[Row]]) -> list[tuple[str, list[Row]]]:
    """Runs of different versions of an experiment may share the name without the seed: they keep the full name."""
    names = [variant_name(group[0].variant) for group in groups]
    return [
        (name if names.count(name) == 1 else group[0].variant, sorted(group, key=lambda row: row.seed or 0))
        for name, group in zip(names, groups, strict=True)
    ]


def _split(runs: list[Row], allowed: Collection[str]) -> Iterator[tuple[tuple[tuple[str, str], ...], list[Row]]]:
    """The runs that were made in the same way, and what they differ in from the others. Unknown is not different."""
    fields = [
        field
        for field in PROVENANCE
        if field not in allowed and len({row.provenance[field] for row in runs if field in row.provenance}) > 1
    ]
    parts: dict[tuple[tuple[str, str], ...], list[Row]] = {}
    for row in runs:
        parts.setdefault(tuple((field, row.provenance.get(field, UNKNOWN)) for field in fields), []).append(row)
    yield from parts.items()


def shown(differs_in: Sequence[tuple[str, str]]) -> str:
    """` [code 1a2b3c4d, precision 32-true]`: what tells the lines of one variant apart."""
    texts = [f"{field} {value[:CODE_DIGITS] if field in ('code', 'data') else value}" for field, value in differs_in]
    return f" [{', '.join(texts)}]" if texts else ""
