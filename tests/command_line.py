"""The command line in the process of the test, which has imported everything: a program of its own takes seconds to."""

from __future__ import annotations

import logging
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pytest

from vlrouting.cli import main

REPOSITORY = Path(__file__).parents[1]


@dataclass(frozen=True)
class Done:
    """What a shell sees of a command."""

    returncode: int
    stdout: str
    stderr: str


def vlrouting(*arguments: str | Path, cwd: Path = REPOSITORY) -> Done:
    """Run `vlrouting ARGUMENTS` in a folder. The log level of `-q` or `-v` does not outlast it."""
    out, err = StringIO(), StringIO()
    log = logging.getLogger("vlrouting")
    level = log.level
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.chdir(cwd)
        patch.setattr(sys, "argv", ["vlrouting", *map(str, arguments)])
        try:
            with pytest.raises(SystemExit) as end:
                main()
        finally:
            log.setLevel(level)
    return Done(int(end.value.code or 0), out.getvalue(), err.getvalue())
