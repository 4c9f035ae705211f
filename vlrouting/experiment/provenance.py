"""What a run was made with."""

from __future__ import annotations

import platform
import socket
import subprocess
from importlib import metadata

PACKAGES = ("vlrouting", "torch", "lightning", "transformers", "timm", "torchmetrics")


def environment() -> dict[str, object]:
    """Fields for run.json: `git_commit`, `git_dirty`, `packages`, `python`, `platform`, `host`.

    The commit is that of the repository around the current directory, None when there is none. Dirty means that
    tracked files differ from it. A package that is not installed has version None.
    """
    commit = _git("rev-parse", "HEAD")
    changes = _git("status", "--porcelain", "--untracked-files=no") if commit else None
    return {
        "git_commit": commit,
        "git_dirty": None if changes is None else bool(changes),
        "packages": {name: _version(name) for name in PACKAGES},
        "python": platform.python_version(),
        "platform": platform.platform(),
        "host": socket.gethostname(),
    }


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
