"""The columns of a table, and what is wrong with its header."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path

from vlrouting.config.names import listed, nearest_names
from vlrouting.data.datasets.table.mistakes import Complain

IMAGE, QUESTION, ANSWER, CAPTION = ("image", "images"), ("question",), ("answer", "answers"), ("caption", "captions")
"""Names of a thing: for one, and for several."""
OPTIONAL = ("id", "split", "group")
COLUMNS = (*IMAGE, *QUESTION, *ANSWER, *CAPTION, *OPTIONAL)
NEEDED = {"answer": (IMAGE, QUESTION, ANSWER), "caption": (IMAGE, CAPTION)}
"""`data.target` -> what a row needs."""
SEPARATOR = "|"
"""Between several images, answers or captions in a cell of a text file."""
_OTHER_NAMES = {
    "image": ("file_name", "filename", "file", "path", "image_path", "image_file", "img", "picture", "photo", "img_id"),
    "question": ("text", "prompt", "query", "sentence", "instruction", "statement", "input"),
    "answer": ("label", "target", "response", "output", "multiple_choice_answer", "class"),
    "caption": ("text", "description", "sentence", "title", "label", "comment", "captions_en"),
}
"""What the columns are called elsewhere."""
_NEAR = 0.8
_SHORT = 3
"""Letters of a name that is like too many others to be a misspelt one."""
log = logging.getLogger(__name__)


def check_columns(found: Sequence[str], target: str, complain: Complain, *, needs_answers: bool, typed: bool) -> bool:
    """Whether the rows can be read; mistakes in the header otherwise.

    Args:
        found: names of the columns; of JSON Lines the keys of the first record.
        target: `answer` or `caption`.
        complain: takes the mistakes.
        needs_answers: false for a test set without public answers.
        typed: false for text files, whose first line names the columns.
    """
    line = None if typed else 1
    twice = sorted({name for name in found if name and found.count(name) > 1})
    for name in twice:
        complain(line, f"the column '{name}' occurs twice", "rename or remove one of the two")
    near = near_misses(found)
    for name, known in near.items():
        complain(line, f"the column '{name}' looks like '{known}'", f"rename it to '{known}', or to something else")
    complete = True
    others = {other for names in _OTHER_NAMES.values() for other in names}
    if found and not near and not {*COLUMNS, *others} & {name.strip().lower() for name in found}:
        what = f"none of the columns has a known name: {_shown(found)}"
        complain(line, what, "rename them" if typed else "name the columns in the first line")
        return False
    for names in NEEDED[target]:
        if any(name in found for name in names) or any(name in near.values() for name in names):
            continue
        if names in (ANSWER, CAPTION) and not needs_answers:
            continue
        complete = False
        has = f"the columns are {_shown(found)}" if found else "it has no columns"
        complain(line, f"there is no column '{names[0]}': {has}", _remedy(names[0], found))
    return complete and not twice and not near


def _shown(found: Sequence[str]) -> str:
    return listed((f"'{name:.40}'" for name in found), most=12)


def _remedy(name: str, found: Sequence[str]) -> str:
    other = next((each for each in found if each.lower().strip() in _OTHER_NAMES.get(name, ())), None)
    return "add it" if other is None else f"rename the column '{other}' to '{name}', if that is what it has"


def near_misses(found: Iterable[str]) -> dict[str, str]:
    """Unknown names that stand for a known one -> that one, where it is not among them itself."""
    names = list(found)
    result: dict[str, str] = {}
    for name in names:
        plain = name.strip().lower()
        if name in COLUMNS or not plain.isalpha():  # `question_id` and `answer_type` are columns of many tables
            continue
        near = (
            [plain] if plain in COLUMNS else nearest_names(plain, COLUMNS, cutoff=_NEAR) if len(plain) > _SHORT else []
        )
        if near and near[0] not in names:
            result[name] = near[0]
    return result


def log_ignored(path: Path, found: Iterable[str]) -> None:
    """One line on the columns that are not read."""
    ignored = [name for name in found if name not in COLUMNS]
    if ignored:
        log.info("%s: columns that are not read: %s", path, listed(ignored, most=20))
