"""An inspection for people, and for programs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from vlrouting.config.finding import FAULT, LEVELS, WARNING, Finding
from vlrouting.config.names import counted
from vlrouting.data.inspection.finding_text import INDENT, finding_text
from vlrouting.data.inspection.inspection import InspectedSplit, Inspection
from vlrouting.data.inspection.official import found_counts

MOST_LINES = 10
"""Findings on one thing that are printed."""
COLUMNS = 4
"""Splits side by side, so that a table fits in a terminal."""


def show(inspections: Sequence[Inspection], console: Console | None = None) -> None:
    """Print tables with a column for each split, a line for each finding, and a summary."""
    console = console or Console(soft_wrap=True, highlight=False)
    for inspection in inspections:
        for start in range(0, len(inspection.splits), COLUMNS):
            console.print(_table(inspection, inspection.splits[start : start + COLUMNS]))
            console.print()
        if inspection.unnamed:
            console.print(
                f"In the image folders: {counted(inspection.unnamed, 'image')} that no record of these splits names.\n"
            )
        _show_findings(inspection.findings, console)
        console.print(Text(summary(inspection)))


def summary(inspection: Inspection) -> str:
    """`coco in data/coco: 3 splits, 123,287 images: nothing is wrong`."""
    subject, splits = inspection.subject, inspection.splits
    images = len(set[str]().union(*(split.content.images for split in splits)))
    found = f"{subject.name} in {subject.data.root}: {counted(len(splits), 'split')}, {counted(images, 'image')}"
    faults, warnings = inspection.count(FAULT), inspection.count(WARNING)
    wrong = f"{counted(faults, 'fault')}, {counted(warnings, 'warning')}" if faults or warnings else "nothing is wrong"
    return f"{found}: {wrong}" + ("" if inspection.is_complete else " so far (interrupted)")


def as_json(inspection: Inspection) -> dict[str, Any]:
    """Everything, for a program."""
    subject = inspection.subject
    return {
        "name": subject.name,
        "dataset": subject.data.name,
        "root": subject.data.root,
        "splits": {split.name: _split_as_json(split) for split in inspection.splits},
        "vocabulary": inspection.vocabulary,
        "files_without_record": inspection.unnamed,
        "findings": [
            {"level": finding.level, "about": finding.looked_at, "found": finding.found, "remedy": finding.remedy}
            for finding in inspection.findings
        ],
        "faults": inspection.count(FAULT),
        "warnings": inspection.count(WARNING),
        "complete": inspection.is_complete,
    }


def _split_as_json(split: InspectedSplit) -> dict[str, Any]:
    content, answers = split.content, split.answers
    return {
        "role": split.role,
        "counts": dict(found_counts(content)),
        "official": dict(split.official),
        "repeated_questions": split.repeated,
        "unanswered_questions": content.unanswered,
        "distinct_answers": len(content.answers),
        "in_vocabulary": answers.in_vocabulary if answers else None,
        "unseen_answers": answers.unseen if answers else None,
        "unseen_answers_share": answers.unseen_share if answers else None,
        "words": {str(words): count for words, count in sorted(content.words.items())},
        "images_opened": split.opened,
        "images_broken": split.broken,
        "images_missing": split.missing,
    }


def _show_findings(findings: Sequence[Finding], console: Console) -> None:
    """Faults first; of many on one thing the first few."""
    shown: Counter[tuple[str, str]] = Counter()
    total = Counter((finding.level, finding.looked_at) for finding in findings)
    for finding in sorted(findings, key=lambda finding: LEVELS.index(finding.level)):
        key = finding.level, finding.looked_at
        shown[key] += 1
        if shown[key] <= MOST_LINES:
            console.print(finding_text(finding))
        elif shown[key] == total[key]:
            more = total[key] - MOST_LINES
            console.print(f"{INDENT}{finding.looked_at}: and {more:,} more; --write FILE.json lists them all")


def _table(inspection: Inspection, splits: Sequence[InspectedSplit]) -> Table:
    """A row for each thing that is counted, a column for each split."""
    columns = [dict(_rows(inspection, split)) for split in splits]
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(inspection.subject.name)
    for split in splits:
        table.add_column(split.name, justify="right")
    longest_first = sorted(columns, key=len, reverse=True)  # its order is that of all
    for what in dict.fromkeys(what for column in longest_first for what in column):
        table.add_row(what, *(column.get(what, "") for column in columns))
    return table


def _rows(inspection: Inspection, split: InspectedSplit) -> Iterator[tuple[str, str]]:
    """What is counted, and how many there are."""
    content, answers = split.content, split.answers
    counts = found_counts(content)
    texts = "captions" if content.captions else "statements" if "statements" in split.official else "questions"
    for what in dict.fromkeys(["images", texts, *split.official]):
        if what in counts:
            yield what.replace("_", " "), f"{counts[what]:,}"
        if what in split.official:
            yield f"{what.replace('_', ' ')}, officially", f"{split.official[what]:,}"
    if content.words:
        mean = sum(words * count for words, count in content.words.items()) / content.words.total()
        yield f"words of {texts}, mean", f"{mean:.1f}"
        yield f"words of {texts}, range", f"{min(content.words)} to {max(content.words)}"
    if content.questions:
        yield f"repeated {texts}", f"{split.repeated:,}"
        yield f"{texts} without an answer", f"{content.unanswered:,}"
        yield "distinct answers", f"{len(content.answers):,}"
    if answers is not None and answers.in_vocabulary is not None:
        yield f"answered by the {inspection.vocabulary:,} of the vocabulary", f"{answers.in_vocabulary:.1%}"
    if answers is not None and answers.unseen is not None:
        yield "answers never seen in training", f"{answers.unseen:,}"
        yield f"{texts} with such an answer", f"{answers.unseen_share:.1%}"
    if split.missing is not None:
        yield "missing images", f"{split.missing:,}"
        yield "opened images", f"{split.opened:,}"
        yield "images that do not open", f"{split.broken:,}"
