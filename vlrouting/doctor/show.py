"""The findings on the console: faults first, then warnings, then what is ok."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from vlrouting.config.names import listed
from vlrouting.doctor.finding import FAULT, LEVELS, OK, WARNING, Finding

_STYLES = {FAULT: "bold red", WARNING: "yellow", OK: "green"}


def show(findings: Sequence[Finding], title: str, console: Console | None = None) -> None:
    """Print a line or two for each finding; without colours and unbroken where no terminal reads them."""
    console = console or Console(soft_wrap=True, highlight=False)
    console.print(Text(title))
    for level in LEVELS:
        for finding in findings:
            if finding.level == level:
                console.print(_lines(finding))
    counts = {level: sum(finding.level == level for finding in findings) for level in LEVELS}
    console.print(Text(f"{_count(counts[FAULT], 'fault')}, {_count(counts[WARNING], 'warning')}, {counts[OK]} ok"))


def _lines(finding: Finding) -> Text:
    text = Text.assemble((f"{finding.level:<8}", _STYLES[finding.level]), f"{finding.looked_at}: {finding.found}")
    if finding.points and finding.level != OK:
        text.append(f"  [{listed(finding.points)}]", style="dim")
    if finding.remedy:
        text.append(f"\n{'':<8}→ {finding.remedy}")
    return text


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"
