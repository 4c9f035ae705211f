"""What `vlrouting data show` does."""

from __future__ import annotations

from pathlib import Path

from PIL import Image
from rich.console import Console
from rich.table import Table

from vlrouting.config.names import counted, printable
from vlrouting.data.datasets.read import read_splits
from vlrouting.data.inspection.description import SplitDescription, TokenCounter, describe, shown_examples
from vlrouting.data.inspection.subject import Subject
from vlrouting.experiment import atomically
from vlrouting.report.data_sheet import data_sheet, pixels
from vlrouting.report.fonts import missing_glyphs


def show_data(
    subject: Subject,
    out: Path,
    *,
    split: str | None = None,
    count: int = 16,
    seed: int = 0,
    tokens: TokenCounter | None = None,
) -> None:
    """Write a sheet of examples of a split, and print what the split is like.

    Args:
        subject: the data.
        out: the PNG file.
        split: default: the training split, else the first one.
        count: most examples.
        seed: chooses them.
        tokens: counts the tokens of the texts; None for none.

    Raises:
        DataError: files are missing, or a record is invalid.
        OSError: the file cannot be written.
    """
    name = split or subject.training or subject.splits[0]
    examples = read_splits(subject.data, [name], images=subject.uses_image)[name]
    described = describe(name, examples, [subject.role(name)], tokens)
    shown = shown_examples(examples, count, seed)
    title = f"{subject.name}: {len(shown):,} of {counted(len(examples), 'example')} of {name}"
    sheet = Image.fromarray(pixels(data_sheet(title, shown, [described])))
    with atomically(out) as temporary:
        sheet.save(temporary, format="PNG", optimize=True)
    console = Console(soft_wrap=True, highlight=False)
    console.print(_table(subject, described))
    console.print(f"Sheet: {out}")
    if missing := missing_glyphs(text for example in shown for text in (example.text, *dict(example.references))):
        console.print(
            f"No font here has {counted(len(missing), 'character')} of these texts ({printable(missing[:10])}…): boxes "
            "stand for them. A package such as fonts-noto-cjk or fonts-noto-core has most."
        )


def _table(subject: Subject, described: SplitDescription) -> Table:
    """The numbers of the sheet's plots."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(subject.name)
    table.add_column(described.name, justify="right")
    table.add_row("examples", f"{described.examples:,}")
    if described.described < described.examples:
        table.add_row("looked at, evenly spaced", f"{described.described:,}")
    table.add_row("distinct images", f"{described.images:,}")
    table.add_row(described.texts, f"{described.captions or described.questions:,}")
    for lengths in described.lengths:
        table.add_row(f"{lengths.unit}, mean", f"{lengths.mean:.1f}")
        table.add_row(f"{lengths.unit}, range", f"{lengths.least:,} to {lengths.most:,}")
        if lengths.limit is not None:
            table.add_row(f"longer than {lengths.limit_key}={lengths.limit}", f"{lengths.over_limit:.1%}")
    total = sum(described.top_answers.values()) + described.other_answers
    if total:
        table.add_row("distinct answers", f"{described.distinct_answers:,}")
    for answer, count in described.top_answers.items():
        table.add_row(f"  {printable(answer) or '(empty)'}", f"{count / total:.1%}")
    if described.other_answers:
        table.add_row("  other answers", f"{described.other_answers / total:.1%}")
    return table
