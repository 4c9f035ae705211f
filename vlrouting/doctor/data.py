"""The data: files, their content, images."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from vlrouting.config import TASKS, DataConfig, ExperimentConfig, Problem
from vlrouting.config.finding import FAULT, OK, Finding, fault
from vlrouting.data.datasets.presence import answers_path, missing_files
from vlrouting.data.datasets.recipe_folder import holds_files
from vlrouting.data.datasets.registry import chosen_splits, format_of, known_splits, recipe_of
from vlrouting.data.example import DataError, Example
from vlrouting.data.inspection.images import image_problem
from vlrouting.doctor.folders import spelled_bytes, write_problem
from vlrouting.doctor.subject import KeyOf, RunContext

SAMPLED_IMAGES = 8
"""Of each split."""
MOST_BYTES = 2**30
"""Files that are larger together are not read through: that is left to the run."""
JSON = ".json"
_HEAD = 65_536
_LONGEST_TOKEN = 16_384
"""Characters before the end of a part of a JSON file within which the cut itself may look like an error."""
PREPARED = "prepared.json"
"""What a recipe leaves when it is done."""
PLACE = "data"
_CORRECT = "correct or replace the file, as the message says"


@dataclass(frozen=True)
class Reading:
    """What came of reading the splits."""

    examples: dict[str, Sequence[Example]] | None
    """By split; None where they were not read."""
    why_not: str = ""
    problem: str = ""
    """What is wrong with them, a line each."""


def files(config: ExperimentConfig, context: RunContext, key_of: KeyOf) -> Iterator[Finding]:
    """The files and image folders of every split are there, or can be made."""
    problems = missing_files(config.data, images=config.uses_image)
    yield from (fault(PLACE, problem.placed(key_of)) for problem in problems)
    if not problems:
        splits = ", ".join(chosen_splits(config.data))
        state = f"will be made by the recipe {config.data.prepare}" if _to_be_made(config.data) else "are there"
        yield Finding(OK, PLACE, f"{config.data.root}: the files of {splits} {state}")


def recipe(config: ExperimentConfig, context: RunContext, key_of: KeyOf) -> Iterator[Finding]:
    """A recipe that has not been followed yet finds an empty place that takes files."""
    root = Path(config.data.root)
    if not _to_be_made(config.data):
        return
    if holds_files(root):
        yield Finding(
            FAULT,
            PLACE,
            f"{root} holds files that the recipe {config.data.prepare} did not make",
            f"move them away, or change {key_of('data.root')}",
        )
    elif problem := write_problem(root):
        yield Finding(FAULT, PLACE, problem, f"set {key_of('data.root')} to a folder that you may write to")


def content(config: ExperimentConfig, context: RunContext, key_of: KeyOf) -> Iterator[Finding]:
    """Every JSON file begins and ends as one; where the files are not too large, every record is valid."""
    paths = _there(files_read(config.data))
    json = [path for path in paths if path.suffix == JSON]
    broken = context.once(("json", tuple(json)), lambda: [found for path in json if (found := json_problem(path))])
    yield from (fault(PLACE, problem) for problem in broken)
    if broken or not paths:
        return
    found = reading(config, context)
    yield from (Finding(FAULT, PLACE, line, _CORRECT) for line in found.problem.splitlines())
    if found.examples is not None:
        counts = ", ".join(f"{name} {len(examples):,}" for name, examples in found.examples.items())
        yield Finding(OK, PLACE, f"read through, examples: {counts}")
    elif found.why_not:
        looked = f"{len(json)} JSON files begin and end as they should; " if json else ""
        yield Finding(OK, PLACE, f"{looked}{found.why_not}")


def images(config: ExperimentConfig, context: RunContext, key_of: KeyOf) -> Iterator[Finding]:
    """A sample of every split's images opens."""
    examples = reading(config, context).examples if config.uses_image else None
    if examples is None:
        return
    paths = [path for split in examples.values() for example in _sample(split) for path in example.images]
    broken = context.once(("images", tuple(paths)), lambda: [p for path in paths if (p := image_problem(path))])
    yield from (Finding(FAULT, "images", problem, _CORRECT) for problem in broken)
    if not broken:
        yield Finding(OK, "images", f"a sample of {len(set(paths))} opens")


def reading(config: ExperimentConfig, context: RunContext) -> Reading:
    """The splits, read once for all points that share them."""
    key = ("examples", repr(config.data), config.uses_image)
    return context.once(key, lambda: _read(config))


def files_read(data: DataConfig) -> list[Path]:
    """The files of all chosen splits, and the vocabulary's."""
    found: list[Path] = []
    for name in chosen_splits(data):
        split = known_splits(data).get(name)
        if split is None:
            continue
        try:
            paths = [Path(data.root) / relative for relative in format_of(data).split_files(name, split)]
        except DataError:  # which `files` names
            continue
        found += [file for path in paths for file in (sorted(path.glob("*.json")) if path.is_dir() else [path])]
    vocabulary = answers_path(data)
    return list(dict.fromkeys([*found, *([vocabulary] if vocabulary is not None else [])]))


def json_problem(path: Path) -> Problem | None:
    """What is wrong with the beginning or the end of a JSON or JSON Lines file; None for nothing."""
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
            whole = len(head) < _HEAD
            file.seek(-min(len(head), 256), 2)
            tail = file.read().decode("utf-8", errors="replace").rstrip()
    except OSError as error:
        return Problem((), f"{path}: cannot be read ({error.strerror or error})", "check the path and its permissions")
    text = head.decode("utf-8-sig", errors="replace").strip()
    if not text:
        found = "the file is empty"
    elif text[0] not in "{[":
        found = f"begins with {text[:20]!r}, which is no JSON object or list"
    elif (position := _broken_at(text, whole)) is not None:
        found = f"the JSON breaks off at character {position}"
    elif tail[-1:] not in ("}", "]"):
        found = f"ends with {tail[-20:]!r} in the middle of a record"
    else:
        return None
    return Problem((), f"{path}: {found}", "the file was cut short or damaged: fetch it again")


def _broken_at(text: str, whole: bool) -> int | None:
    """Where the beginning of a file stops being JSON; None where it does not."""
    try:
        json.JSONDecoder().raw_decode(text)  # of JSON Lines the first
    except json.JSONDecodeError as error:
        return error.pos if whole or error.pos < len(text) - _LONGEST_TOKEN else None
    return None


def _read(config: ExperimentConfig) -> Reading:
    from vlrouting.data.datasets.read import read_splits

    paths = files_read(config.data)
    json = [path for path in _there(paths) if path.suffix == JSON]
    if missing_files(config.data, images=config.uses_image) or any(map(json_problem, json)):
        return Reading(None)
    if _to_be_made(config.data):
        return Reading(None, why_not="the files are still to be made")
    size = sum(path.stat().st_size for path in _there(paths))
    if size > MOST_BYTES:
        return Reading(None, why_not=f"{spelled_bytes(size)} are not read through here")
    try:
        return Reading(read_splits(config.data, images=config.uses_image))
    except DataError as error:
        return Reading(None, problem=str(error))


def _there(paths: Sequence[Path]) -> list[Path]:
    return [path for path in paths if path.exists()]


def _to_be_made(data: DataConfig) -> bool:
    return recipe_of(data) is not None and not (Path(data.root) / PREPARED).exists()


def _sample(split: Sequence[Example]) -> list[Example]:
    return [split[position] for position in range(0, len(split), max(1, len(split) // SAMPLED_IMAGES))]


def vocabulary_size(config: ExperimentConfig, context: RunContext) -> int | None:
    """Answers of the vocabulary; None where it cannot be read or built yet."""
    found = vocabulary_of(config, context)
    return found if isinstance(found, int) else None


def vocabulary_of(config: ExperimentConfig, context: RunContext) -> int | str | None:
    """Its size, or what is wrong with it; None where it cannot be told yet."""
    return context.once(("vocabulary", repr(config.data), config.task), lambda: _read_vocabulary(config, context))


def _read_vocabulary(config: ExperimentConfig, context: RunContext) -> int | str | None:
    path, examples = answers_path(config.data), reading(config, context).examples
    if not path.exists() if path is not None else examples is None:
        return None
    try:
        return len(TASKS.load(config.task).answers(config.data, examples[config.data.train] if examples else []))
    except DataError as error:
        return str(error)
