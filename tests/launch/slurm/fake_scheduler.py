"""Programs with the names of SLURM's on PATH, which answer as they are told and remember how they were called."""

from __future__ import annotations

import shlex
from pathlib import Path

PENDING = "7|0|PENDING|vlrouting-x|Priority\n"


class FakeScheduler:
    """Nothing else is on PATH, not even a real scheduler."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._calls = folder / "calls.txt"
        folder.mkdir()

    def answer(self, program: str, out: str = "", *, status: int = 0, error: str = "", hang: bool = False) -> None:
        """From now on `program` prints this and ends with this status, or never ends."""
        lines = [
            "#!/bin/sh",
            f'echo "{program} $*" >> {shlex.quote(str(self._calls))}',
            *(["/bin/sleep 60"] if hang else []),  # a child of its own, as a site's wrapper has
            f"printf %s {shlex.quote(out)}",
            f"printf %s {shlex.quote(error)} >&2",
            f"exit {status}",
        ]
        path = self.folder / program
        path.write_text("\n".join(lines) + "\n")
        path.chmod(0o755)

    def works(self, job: str = "7") -> None:
        """Takes everything; knows of no job yet."""
        self.answer("sbatch", f"{job}\n")
        for program in ("squeue", "scancel", "scontrol"):
            self.answer(program)

    @property
    def calls(self) -> list[str]:
        """Every call, in order: `scancel 7_0`."""
        return self._calls.read_text().splitlines() if self._calls.exists() else []

    def called(self, program: str) -> list[str]:
        """The arguments of each call of a program."""
        return [call.partition(" ")[2] for call in self.calls if call.split()[0] == program]
