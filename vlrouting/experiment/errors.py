"""What a user is told when an experiment cannot run: every mistake at once, each with its place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from vlrouting.config.names import did_you_mean, nearest

__all__ = ["ExperimentErrors", "Finding", "UserError", "did_you_mean", "in_reading_order", "nearest", "place_name"]


class UserError(Exception):
    """A user's mistake. The command line prints its text without a traceback and exits with status 2."""


@dataclass(frozen=True)
class Finding:
    """One mistake in an experiment."""

    file: str
    """The YAML file, or `command line`."""
    key: str
    """YAML path, such as `sweep.grid.bottleneck.routing`; empty when the mistake belongs to no key."""
    message: str
    line: int | None = None
    """Counted from 1; None where there is no line."""

    def __str__(self) -> str:
        return ": ".join(part for part in (place_name(self.file, self.line), self.key, self.message) if part)


def place_name(file: str, line: int | None) -> str:
    """`experiments/demo_vqa.yaml:7`, or the file alone."""
    return file if line is None else f"{file}:{line}"


class ExperimentErrors(UserError):
    """All mistakes of one experiment; its text has a line for each."""

    def __init__(self, findings: Iterable[Finding]) -> None:
        self.findings = in_reading_order(findings)
        super().__init__("\n".join(str(finding) for finding in self.findings))


def in_reading_order(findings: Iterable[Finding]) -> list[Finding]:
    """Each finding once, file by file as they came up, from the top of a file to its bottom."""
    once = list(dict.fromkeys(findings))
    files = list(dict.fromkeys(finding.file for finding in once))
    return sorted(once, key=lambda finding: (files.index(finding.file), finding.line or 0))
