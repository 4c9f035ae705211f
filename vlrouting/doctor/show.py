"""The findings on the console: faults first, then warnings, then what is ok."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from vlrouting.config.finding import FAULT, LEVELS, OK, WARNING, Finding
from vlrouting.config.names import counted
from vlrouting.data.inspection.finding_text import finding_text


def show(findings: Sequence[Finding], title: str, console: Console | None = None) -> None:
    """Print a line or two for each finding; without colours and unbroken where no terminal reads them."""
    console = console or Console(soft_wrap=True, highlight=False)
    console.print(Text(title))
    for level in LEVELS:
        for finding in findings:
            if finding.level == level:
                console.print(finding_text(finding))
    counts = {level: sum(finding.level == level for finding in findings) for level in LEVELS}
    console.print(Text(f"{counted(counts[FAULT], 'fault')}, {counted(counts[WARNING], 'warning')}, {counts[OK]} ok"))
