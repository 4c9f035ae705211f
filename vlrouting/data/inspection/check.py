"""All checks of a dataset: its records, their number, answers, what splits share, and the images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from vlrouting.config.finding import FAULT, WARNING, Finding, fault
from vlrouting.config.names import counted
from vlrouting.data.datasets.presence import missing_files
from vlrouting.data.datasets.read import read_splits
from vlrouting.data.example import DataError, Example
from vlrouting.data.inspection.answers import look_at_answers
from vlrouting.data.inspection.content import SplitContent
from vlrouting.data.inspection.images import Presence, image_problem, open_images, present_images, sampled
from vlrouting.data.inspection.inspection import InspectedSplit, Inspection
from vlrouting.data.inspection.official import compare_counts, official_counts
from vlrouting.data.inspection.shared_images import shared_images
from vlrouting.progress_bar import progress_bar, say

IMAGES = ALL, SAMPLE, NONE = "all", "sample", "none"
"""Which images are opened."""
NAMED_REPEATS = 3
"""Repeated questions of a split that are named."""
_RECORDS = ": records"
_STEP = 1000
"""Examples between two changes of the progress display."""


def inspect(inspection: Inspection, images: str = ALL, manifest: Path | None = None) -> None:
    """Look at all splits and fill in `inspection`; an interruption leaves in it what was found so far.

    Args:
        inspection: of the subject, empty.
        images: which images to open: `all`, `sample` (the same ones every time) or `none`.
        manifest: a file with the official numbers. Default: the dataset's own manifest.

    Raises:
        DataError: the manifest is not there or not valid, or a process that opened images was killed.
    """
    findings = inspection.findings
    official = official_counts(inspection.subject.data, manifest)
    for name in inspection.subject.splits:
        findings += _look_at_split(inspection, name, official.get(name, {}), certain=manifest is not None)
    findings += look_at_answers(inspection)
    findings += shared_images(inspection)
    if inspection.subject.uses_image:
        findings += _look_at_images(inspection, images)
    inspection.is_complete = True


def _look_at_split(inspection: Inspection, name: str, official: Mapping[str, int], certain: bool) -> Iterator[Finding]:
    """Read a split, and check what it says by itself."""
    subject = inspection.subject
    missing = missing_files(subject.data, [name], images=False)
    if missing:
        yield from (fault(name, problem.placed(subject.key_of)) for problem in missing)
        return
    say(f"reading {subject.name}: {name}")
    try:
        examples = read_splits(subject.data, [name], images=False)[name]
    except DataError as error:
        yield from _invalid(inspection, name, str(error).splitlines())
        return
    content = SplitContent()
    with progress_bar(f"counting {name}", len(examples), "examples") as advance:
        for position, example in enumerate(examples, start=1):
            content.add(example)
            if position % _STEP == 0:
                advance(_STEP)
    split = InspectedSplit(name, subject.role(name), content, official)
    inspection.splits.append(split)
    yield from compare_counts(name, content, official, subject.data, certain)
    yield from _repeated(split, examples)


def _invalid(inspection: Inspection, split: str, problems: Sequence[str]) -> Iterator[Finding]:
    """What the reader says, a finding for each line; what it says of several splits of one file is one finding."""
    known = {finding.found: place for place, finding in enumerate(inspection.findings)}
    for problem in problems:
        if (place := known.get(problem)) is None:
            yield Finding(FAULT, f"{split}{_RECORDS}", problem)
            continue
        others = inspection.findings[place].looked_at.removesuffix(_RECORDS)
        inspection.findings[place] = replace(inspection.findings[place], looked_at=f"{others}, {split}{_RECORDS}")


def _repeated(split: InspectedSplit, examples: Sequence[Example]) -> Iterator[Finding]:
    pairs = split.content.repeated()
    split.repeated = len(pairs)
    if pairs:
        named = [f"{examples[later].id} asks what {examples[first].id} asks" for first, later in pairs[:NAMED_REPEATS]]
        more = f" and {len(pairs) - len(named):,} more" if len(pairs) > len(named) else ""
        found = f"{counted(len(pairs), 'question')} of the same images and in the same words: {', '.join(named)}{more}"
        yield Finding(WARNING, f"{split.name}: questions", found, "remove all but one, unless they are meant")


def _look_at_images(inspection: Inspection, which: str) -> Iterator[Finding]:
    """What is absent and what does not open; an image of several splits is opened once."""
    users: dict[str, list[InspectedSplit]] = {}
    for split in inspection.splits:
        split.missing = 0
        for path in split.content.images:
            users.setdefault(path, []).append(split)
    presence = present_images(users)
    inspection.unnamed = presence.unnamed
    yield from _absent(inspection, presence, users)
    chosen = set(presence.there)
    if which != ALL:
        chosen = {path for split in inspection.splits for path in sampled(split.content.images & chosen)}
    to_open = sorted(chosen if which != NONE else ())
    with progress_bar("opening images", len(to_open), "images") as advance:
        for path, problem in open_images(to_open):
            for split in users[path]:
                split.opened += 1
                split.broken += problem is not None
            if problem is not None:
                yield Finding(FAULT, _about(users[path]), problem)
            advance(1)


def _absent(
    inspection: Inspection, presence: Presence, users: Mapping[str, Sequence[InspectedSplit]]
) -> Iterator[Finding]:
    """Folders that are missing, with the command that fetches them, and images that are."""
    known: set[str] = set()
    for split in inspection.splits:
        for problem in missing_files(inspection.subject.data, [split.name]):
            known.add(split.name)
            yield fault(_about([split]), problem.placed(inspection.subject.key_of))
    for folder, images in presence.folders.items():
        for path in images:
            _count_missing(users[path])
        using = list({split.name: split for path in images for split in users[path]}.values())
        if not known.issuperset(split.name for split in using):
            found = f"the folder {folder} is missing: {counted(len(images), 'image')}"
            remedy = f"unpack the image archive again, or correct {inspection.subject.key_of('data.root')}"
            yield Finding(FAULT, _about(using), found, remedy)
    for path in presence.absent:
        _count_missing(users[path])
        yield Finding(FAULT, _about(users[path]), image_problem(Path(path)) or f"{path} is missing")


def _count_missing(splits: Sequence[InspectedSplit]) -> None:
    for split in splits:
        split.missing = (split.missing or 0) + 1


def _about(splits: Sequence[InspectedSplit]) -> str:
    return f"{', '.join(split.name for split in splits)}: images"
