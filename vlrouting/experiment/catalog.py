"""The experiments of a folder, each with what its file says of itself."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

from vlrouting.experiment.compose import EXPERIMENTS, known_experiments
from vlrouting.experiment.safe_yaml import Unreadable, read_text

_COMMAND = re.compile(r"(make \S+ EXP=\S+|\.venv/bin/.*)\s*")


def catalog(experiments_dir: Path = EXPERIMENTS) -> dict[str, str]:
    """Name -> the first sentence of the comment at the top of its file, the command that runs it left out."""
    return {name: _first_comment(experiments_dir / f"{name}.yaml") for name in known_experiments(experiments_dir)}


def _first_comment(file: Path) -> str:
    try:
        lines = read_text(file).splitlines()
    except Unreadable as error:
        return f"({error})"
    comment = itertools.takewhile(lambda line: line.startswith("#"), lines)
    texts = [_COMMAND.sub("", line.removeprefix("#").strip()) for line in comment]
    paragraph = itertools.takewhile(bool, itertools.dropwhile(lambda text: not text, texts))
    return re.split(r"(?<=[.?!])\s", " ".join(paragraph))[0].removesuffix(".")
