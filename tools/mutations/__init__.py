"""Mutations: changes of the code that each break something, by which the tests are tested (`tools/mutants.py`).

A module here holds those of some packages: path -> (old text, new text, what it breaks). The old text is in the file
once. When code changes, choose another text that breaks the same.
"""

from __future__ import annotations

from dataclasses import dataclass

from tools.mutations import (
    adapeft,
    analysis,
    bottleneck,
    bottleneck_kinds,
    data,
    experiment,
    fetch,
    inspection,
    launch,
    metrics,
    models,
    own_table,
    page,
    report,
    shapes,
    spt,
    training,
)


@dataclass(frozen=True)
class Mutation:
    """One change of one file."""

    path: str
    """Of the file, from the root of the repository."""
    old: str
    """Text that is in the file once."""
    new: str
    breaks: str
    """What goes wrong then, in words."""

    def applied_to(self, content: str) -> str:
        """The changed content.

        Raises:
            ValueError: the old text is not in it, or several times.
        """
        if (count := content.count(self.old)) != 1:
            raise ValueError(f"{self.path}: found {count} times, not once: {self.old!r} ({self.breaks})")
        return content.replace(self.old, self.new)


MUTATIONS = [
    Mutation(path, *change)
    for module in (
        bottleneck,
        bottleneck_kinds,
        models,
        data,
        fetch,
        inspection,
        own_table,
        metrics,
        training,
        analysis,
        experiment,
        launch,
        report,
        page,
        shapes,
        spt,
        adapeft,
    )
    for path, changes in module.CHANGES.items()
    for change in changes
]
