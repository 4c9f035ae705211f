"""What a user reads when an experiment cannot run: every error at once, each with its place."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from vlrouting.config.names import listed


class UserError(Exception):
    """An error of the user. The command line prints its text without a traceback and exits with status 2."""


@dataclass(frozen=True)
class Diagnostic:
    """One error in an experiment, and where it stands."""

    file: str
    """The YAML file, or `command line`."""
    key: str
    """YAML path, such as `sweep.grid.bottleneck.routing`; empty when the error belongs to no key."""
    message: str
    line: int | None = None
    """Counted from 1; None where there is no line."""
    advice: str = ""
    """What follows the message, with its punctuation: `; set routing`, `. Did you mean 'mul'?`."""
    suggested: tuple[str, ...] = ()
    """Keys that an unknown key may stand for."""
    elsewhere: tuple[str, ...] = ()
    """Further places that it is about: `train.max_steps: experiments/base/short.yaml:1`."""
    points: tuple[str, ...] = ()
    """Points that have it; empty where all have that share the value."""

    def __str__(self) -> str:
        elsewhere = f" ({', '.join(self.elsewhere)})" if self.elsewhere else ""
        points = f" (in {listed(map(repr, self.points))})" if self.points else ""
        text = f"{self.message}{elsewhere}{points}{self.advice}"
        key = self.key if self.key.isprintable() else ascii(self.key)[1:-1]  # one line, whatever the file has
        return ": ".join(part for part in (place_name(self.file, self.line), key, text) if part)


def place_name(file: str, line: int | None) -> str:
    """`experiments/demo_vqa.yaml:7`, or the file alone."""
    return file if line is None else f"{file}:{line}"


class ExperimentErrors(UserError):
    """All errors of one experiment; its text has a line for each."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = in_reading_order(diagnostics)
        super().__init__("\n".join(map(str, self.diagnostics)))


def in_reading_order(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Each one once, file by file as they came up, from the top of a file to its bottom."""
    once = list(dict.fromkeys(diagnostics))
    files = list(dict.fromkeys(diagnostic.file for diagnostic in once))
    return sorted(once, key=lambda diagnostic: (files.index(diagnostic.file), diagnostic.line or 0))
