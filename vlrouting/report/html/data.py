"""The data that the runs were trained and scored on, from data.json in the run directories."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from vlrouting.config.names import listed
from vlrouting.data.inspection.data_file import DataRecord, read_data_record
from vlrouting.data.inspection.description import ShownExample, SplitDescription
from vlrouting.experiment.errors import UserError
from vlrouting.experiment.rundir import RunDirectory
from vlrouting.report.comparison import Variant
from vlrouting.report.html.thumbnails import Thumbnails
from vlrouting.report.plots import Plot, arranged
from vlrouting.report.plots.distributions import distribution_plots
from vlrouting.report.plots.style import styled

MOST_CHARACTERS = 1_000_000
"""Of the thumbnails of all training examples in a report."""
UNKNOWN = "\N{EN DASH}"
_USES = {"train": "training"}
_COLUMNS = ("examples", "images", "questions", "captions", "distinct answers", "words, mean", "words, most")


@dataclass
class DataUse:
    """Data that some of the runs share.

    Attributes:
        record: what is known of them.
        dataset: what one of several is called in the runs.
        labels: experiment -> its variants that use them.
        plots: their distributions.
        cards: training examples: `question`, `references`, `id`, and of each image `name` and `uri`.
    """

    record: DataRecord
    dataset: str = ""
    labels: dict[str, list[str]] = field(default_factory=dict)
    plots: list[Plot] = field(default_factory=list)
    cards: list[dict[str, Any]] = field(default_factory=list)

    @property
    def columns(self) -> list[str]:
        """What is counted of the splits."""
        rows = list(map(_numbers, self.record.splits))
        return [name for number, name in enumerate(_COLUMNS) if any(row[number] != UNKNOWN for row in rows)]

    @property
    def rows(self) -> list[tuple[str, str, list[str]]]:
        """Name and use of each split, and its numbers in the order of `columns`."""
        shown = self.columns
        return [
            (
                split.name,
                ", ".join(_USES.get(role, role) for role in split.roles),
                [text for name, text in zip(_COLUMNS, _numbers(split), strict=True) if name in shown],
            )
            for split in self.record.splits
        ]

    @property
    def note(self) -> str:
        """Which splits were looked at only in part."""
        parts = [
            f"{split.described:,} of {split.examples:,} of {split.name}"
            for split in self.record.splits
            if split.described < split.examples
        ]
        return f"Looked at: {listed(parts)}, evenly spaced." if parts else ""


def data_uses(variants: Iterable[Variant]) -> tuple[list[DataUse], list[str]]:
    """Each data set that the runs have used, with plots and thumbnails; and what could not be read.

    Of the points that differ in nothing but the seed, the first that says anything counts.
    """
    uses: dict[str, DataUse] = {}
    notes: list[str] = []
    for variant in variants:
        for dataset, record in _first_records(variant, notes).items():
            use = uses.setdefault(repr((dataset, record.dataset, record.splits)), DataUse(record, dataset))
            use.labels.setdefault(variant.experiment, []).append(variant.name)
    for number, use in enumerate(uses.values(), start=1):
        with styled():
            plots = distribution_plots(use.record.splits, prefix=f"data{number}_" if len(uses) > 1 else "data_")
            use.plots = list(map(arranged, plots))
        use.cards = _cards(use.record.examples, Thumbnails(MOST_CHARACTERS // len(uses)))
    return list(uses.values()), list(dict.fromkeys(notes))


def _first_records(variant: Variant, notes: list[str]) -> dict[str, DataRecord]:
    """By dataset, in the order of the run."""
    for row in (*variant.runs, *variant.unfinished):
        files = RunDirectory(row.folder).data_files() if row.folder is not None else {}
        found = {}
        for dataset in sorted(files, key=lambda name: list(row.datasets).index(name) if name in row.datasets else 0):
            try:
                found[dataset] = read_data_record(files[dataset])
            except UserError as error:
                notes.append(str(error))
        if found:
            return found
    return {}


def _numbers(split: SplitDescription) -> list[str]:
    """In the order of `_COLUMNS`; what is not known, or does not apply, is a dash."""
    whole = split.described == split.examples
    counts = [split.examples, *((split.images, split.questions, split.captions) if whole else (0, 0, 0))]
    words = next((lengths for lengths in split.lengths if lengths.unit == "words"), None)
    found = [*counts, split.distinct_answers]
    texts = [f"{words.mean:.1f}", f"{words.most:,}"] if words is not None else [UNKNOWN, UNKNOWN]
    return [*(f"{count:,}" if count else UNKNOWN for count in found), *texts]


def _cards(examples: Sequence[ShownExample], thumbnails: Thumbnails) -> list[dict[str, Any]]:
    """As many examples as there is room for."""
    cards = []
    for example in examples:
        numbers = thumbnails.add(example.images)
        if numbers is None:
            break
        times = "\N{MULTIPLICATION SIGN}"
        references = [f"{text} ({count}{times})" if count > 1 else text for text, count in example.references]
        images = [{"name": thumbnails.names[number], "uri": thumbnails.uris[number]} for number in numbers]
        card = {"question": example.text, "references": references, "id": str(example.id), "images": images}
        cards.append(card)
    return cards
