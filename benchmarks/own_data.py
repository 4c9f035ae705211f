"""How long docs/your-own-data.md takes: from 200 pictures with a CSV file to a trained artifact and an answer.

    python benchmarks/own_data.py

Makes the guide's folder, runs its commands one after the other, each as a program of its own, and prints the seconds on
the clock, and the CPU seconds, of each.
"""

from __future__ import annotations

import os
import re
import resource
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
GUIDE = REPOSITORY / "docs" / "your-own-data.md"
_BLOCK = re.compile(r"^```(python|bash)\n(?:# (\S+)\n)?(.*?)^```$", re.MULTILINE | re.DOTALL)
_PROGRAMS = {"vlrouting": [sys.executable, "-m", "vlrouting.cli"], "python": [sys.executable]}


def main() -> None:
    """Print a line for each command of the guide."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), "HF_HUB_OFFLINE": "1"}
    total = 0.0
    with tempfile.TemporaryDirectory() as folder:
        for language, name, text in _BLOCK.findall(GUIDE.read_text(encoding="utf-8")):
            if language == "python":
                (Path(folder) / name).write_text(text, encoding="utf-8")
                continue
            for line in text.splitlines():
                program, *arguments = shlex.split(line)
                before, start = _cpu(), time.monotonic()
                command = [*_PROGRAMS[program], *arguments]
                subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True)
                took = time.monotonic() - start
                total += took if program == "vlrouting" else 0.0
                print(f"{took:6.1f} s on the clock, {_cpu() - before:6.1f} s of CPU  {line}", flush=True)
    print(
        f"{total:6.1f} s on the clock, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}: the commands of vlrouting"
    )


def _cpu() -> float:
    """CPU seconds of the programs that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
