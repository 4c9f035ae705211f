"""What a run was made with."""

from __future__ import annotations

import hashlib
import platform
import socket
import subprocess
from functools import cache
from importlib import metadata
from pathlib import Path

PACKAGES = ("vlrouting", "torch", "lightning", "transformers", "timm", "torchmetrics")
PACKAGE = Path(__file__).parents[1]
NOT_OF_A_RUN = ("analysis", "cli", "doctor", "launch", "report")
"""Parts of the package that change nothing of what a run gives."""


def environment() -> dict[str, object]:
    """Fields for run.json: `git_commit`, `git_dirty`, `code_version`, `packages`, `python`, `platform`, `host`.

    The commit is that of the repository around the current directory, None when there is none. Dirty means that
    tracked files differ from it. A package that is not installed has version None.
    """
    commit = _git("rev-parse", "HEAD")
    changes = _git("status", "--porcelain", "--untracked-files=no") if commit else None
    return {
        "git_commit": commit,
        "git_dirty": None if changes is None else bool(changes),
        "code_version": code_version(),
        "packages": {name: _version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "host": socket.gethostname(),
    }


@cache
def code_version(package: Path = PACKAGE) -> str:
    """Sixteen hexadecimal digits over names and contents of this package's Python files, but for those that only start
    runs or read them, as they were at the first call: a process keeps the code that it has started with. A git commit
    tells neither what an installed package holds nor what was changed since."""
    digest = hashlib.sha256()
    files = (file for file in package.rglob("*.py") if file.relative_to(package).parts[0] not in NOT_OF_A_RUN)
    for file in sorted(files):
        content = file.read_bytes()
        digest.update(f"{file.relative_to(package).as_posix()} {len(content)}\n".encode())
        digest.update(content)
    return digest.hexdigest()[:16]


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _git(*arguments: str) -> str | None:
    """What git prints; None when it fails, is not installed or does not answer."""
    try:
        done = subprocess.run(["git", *arguments], capture_output=True, text=True, timeout=30, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
