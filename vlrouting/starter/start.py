"""`vlrouting init`: looks at a folder, decides, writes the experiment, and says what it did."""

from __future__ import annotations

import os
import re
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from vlrouting.config.names import counted, listed, nearest_names, printable
from vlrouting.experiment import Experiment, ExperimentErrors, UserError, load, write_text_atomic
from vlrouting.experiment.compose import EXPERIMENTS
from vlrouting.starter.experiment_file import experiment_text
from vlrouting.starter.new_table import TABLE, write_class_table, write_empty_table
from vlrouting.starter.pictures import classes_of, find_pictures
from vlrouting.starter.plan import CAPTIONING, Wishes, plan
from vlrouting.starter.summary import about_table, next_commands
from vlrouting.starter.table import read_table, why_no_table

_NEVER_EMPTY = "my_data"
_COLUMNS = {False: ("question", "answer"), True: ("caption",)}
"""Whether captions are wanted -> what a table needs beside the pictures."""
_ROWS = {
    False: ("What is on the table?,a cup", "What colour is it?,red"),
    True: ("a red cup on a table", "two dogs on a beach"),
}


def start(
    folder: Path,
    wishes: Wishes,
    *,
    name: str | None = None,
    out: Path | None = None,
    table: bool = False,
    force: bool = False,
) -> list[str]:
    """Write an experiment for a folder; returns what to tell the user.

    Args:
        folder: with pictures and a table.
        wishes: what the user has decided already.
        name: of the experiment. Default: the folder's.
        out: file of the experiment. Default: `experiments/NAME.yaml`.
        table: write a table first, where there is none.
        force: replace the file of the experiment.

    Raises:
        UserError: the folder is none, cannot be read, or has no table; the file is there; two names are given.
        DataError: the table has mistakes; a line for each kind.
    """
    require_folder(folder)
    file, said = _file_of(folder, name, out, force)
    pictures = find_pictures(folder)
    reason = why_no_table(folder)
    if reason is not None:
        if not table:
            raise UserError(_what_is_needed(folder, reason, pictures, captions=wishes.task == CAPTIONING))
        told, complete = _new_table(folder, pictures, wishes)
        said += told
        if not complete:
            return said
    elif table:
        raise UserError(f"{folder} has a table already: leave --table out, or move the table away")
    found = read_table(folder, wishes.task)
    planned = plan(found.findings, wishes, found.captions)
    with _writing(file):
        write_text_atomic(file, experiment_text(found, planned, command_name(file)))
    unused = sum(folder / path not in found.findings.used for path in pictures)
    said += about_table(found, planned, unused)
    experiment, missing = _checked(file)
    said.append(
        f"{file}: written, {counted(len(experiment.points), 'point')}: {listed(p.name for p in experiment.points)}"
    )
    return [*said, *missing, *next_commands(found, planned, experiment, command_name(file))]


def require_folder(folder: Path) -> None:
    """
    Raises:
        UserError: there is no such folder, it is a file, or it may not be read.
    """
    if folder.is_file():
        raise UserError(f"{folder} is a file; name the folder that it is in: vlrouting init {folder.parent}")
    if not folder.is_dir():
        beside = folder.parent
        names = [entry.name for entry in os.scandir(beside) if entry.is_dir()] if beside.is_dir() else []
        near = "".join(f" Did you mean {beside / name}?" for name in nearest_names(folder.name, names))
        raise UserError(f"there is no folder {folder}; name the one with your pictures and their table.{near}")
    try:
        os.listdir(folder)
    except OSError as error:
        raise UserError(f"{folder} cannot be read: {error.strerror}; correct its permissions") from None


def safe_name(text: str) -> str:
    """What an experiment is called whose folder is called `text`."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return re.sub(r"[^A-Za-z0-9_.+-]+", "_", plain).strip("_.+-") or _NEVER_EMPTY


def command_name(file: Path) -> str:
    """What `vlrouting train` is given to run a file: a name where it lies in `experiments/`, else its path."""
    experiments = EXPERIMENTS.resolve()
    if file.resolve().is_relative_to(experiments):
        return file.resolve().relative_to(experiments).with_suffix("").as_posix()
    return str(file)


def _file_of(folder: Path, name: str | None, out: Path | None, force: bool) -> tuple[Path, list[str]]:
    """The file to write, and what to say of its name."""
    if out is not None and name is not None:
        raise UserError("--name and --out both name the experiment: leave one of them out")
    given = out.stem if out is not None else name or folder.resolve().name
    safe = safe_name(given)
    if out is not None and (out.suffix != ".yaml" or safe != given):
        raise UserError(f"--out {out}: name a file such as {out.with_name(f'{safe}.yaml')}")
    file = out or EXPERIMENTS / f"{safe}.yaml"
    if file.exists() and not force:
        remedy = "--force replaces it" + (", --name gives the new one another name" if out is None else "")
        raise UserError(f"{file} is there already: {remedy}")
    if safe == given:
        return file, []
    return file, [f"'{printable(given)}' has characters that no experiment's name may have; this one is called {safe}"]


def _what_is_needed(folder: Path, reason: str, pictures: list[PurePosixPath], captions: bool) -> str:
    """Why there is no table, and two lines that a table may begin with."""
    if not pictures:
        return f"{reason}. It has no pictures either, so it is not the folder with your data"
    rows = [f"{path},{text}" for path, text in zip((pictures * 2)[:2], _ROWS[captions], strict=True)]
    sample = "\n".join(f"    {line}" for line in [",".join(("image", *_COLUMNS[captions])), *rows])
    options = " --task captioning" if captions else ""
    classes = " with the names of the sub-folders as answers" if classes_of(pictures) and not captions else ""
    return (
        f"{reason}. For its {counted(len(pictures), 'picture')} it needs a table, {folder / TABLE}, such as\n{sample}\n"
        f"`vlrouting init {folder} --table{options}` writes one{classes or ' to fill in'}"
    )


def _new_table(folder: Path, pictures: list[PurePosixPath], wishes: Wishes) -> tuple[list[str], bool]:
    """Write a table; what to say of it, and whether it is complete."""
    if not pictures:
        raise UserError(f"{folder} has no pictures, so there is nothing to write a table of")
    captions = wishes.task == CAPTIONING
    classes = [] if captions else classes_of(pictures)
    rows = counted(len(pictures), "row")
    with _writing(folder / TABLE):
        if classes:
            file = write_class_table(folder, classes)
            labels = sorted({picture.label for picture in classes})
            return [f"{file}: written, {rows}; the answers are the names of the folders: {listed(labels)}"], True
        file = write_empty_table(folder, pictures, _COLUMNS[captions])
    fill = f"fill in {' and '.join(_COLUMNS[captions])}, remove what you do not need, and run: vlrouting init {folder}"
    return [f"{file}: written, {rows}", fill], False


@contextmanager
def _writing(file: Path) -> Iterator[None]:
    try:
        yield
    except (PermissionError, NotADirectoryError, FileExistsError) as error:
        raise UserError(f"{file} cannot be written: {error.strerror}") from None


def _checked(file: Path) -> tuple[Experiment, list[str]]:
    """The experiment, and what has to be installed before it runs."""
    from vlrouting.training.user_errors import missing_files_of

    try:
        return load(str(file), check_files=missing_files_of), []
    except ExperimentErrors as error:
        return load(str(file)), [f"needed before it runs: {each.message}{each.advice}" for each in error.diagnostics]
