"""A finding as it is printed."""

from __future__ import annotations

from rich.text import Text

from vlrouting.config.finding import FAULT, OK, WARNING, Finding
from vlrouting.config.names import listed

_STYLES = {FAULT: "bold red", WARNING: "yellow", OK: "green"}
INDENT = " " * 8


def finding_text(finding: Finding) -> Text:
    """The level, what was found, and below it the remedy."""
    found = finding.found.replace("\n", f"\n{INDENT}")
    text = Text.assemble((f"{finding.level:<8}", _STYLES[finding.level]), f"{finding.looked_at}: {found}")
    if finding.points and finding.level != OK:
        text.append(f"  [{listed(finding.points)}]", style="dim")
    if finding.remedy:
        text.append(f"\n{INDENT}→ {finding.remedy}")
    return text
