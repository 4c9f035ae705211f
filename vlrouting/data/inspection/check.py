"""All checks of a dataset: its records, their number, answers, what splits share, and the images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from vlrouting.config.finding import FAULT, WARNING, Finding, fault
from vlrouting.config.names import counted
from vlrouting.data.datasets.presence import missing_files
from vlrouting.data.datasets.read import read_splits
from vlrouting.data.example import DataError, Example
from vlrouting.data.inspection.answers import look_at_answers
from vlrouting.data.inspection.content import SplitContent
from vlrouting.data.inspection.images import image_problem, open_images, present_images, sampled
from vlrouting.data.inspection.inspection import InspectedSplit, Inspection
from vlrouting.data.inspection.official import compare_counts, official_counts
from vlrouting.data.inspection.shared_images import shared_images
from vlrouting.progress_bar import progress_bar, say

IMAGES = ALL, SAMPLE, NONE = "all", "sample", "none"
"""Which images are opened."""
NAMED_REPEATS = 3
"""Repeated questions of a split that are named."""
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
        yield from (fault(name, problem) for problem in missing)
        return
    say(f"reading {subject.name}: {name}")
    try:
        examples = read_splits(subject.data, [name], images=False)[name]
    except DataError as error:
        yield from (Finding(FAULT, f"{name}: records", line) for line in str(error).splitlines())
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
        there, split.presence = present_images(split.content.images)
        yield from _absent(inspection, split)
        for path in _chosen(there, which):
            users.setdefault(path, []).append(split)
    with progress_bar("opening images", len(users), "images") as advance:
        for path, problem in open_images(sorted(users)):
            for split in users[path]:
                split.opened += 1
                split.broken += problem is not None
            if problem is not None:
                yield Finding(FAULT, f"{_names(users[path])}: images", problem)
            advance(1)


def _chosen(images: Sequence[str], which: str) -> Sequence[str]:
    return sampled(images) if which == SAMPLE else images if which == ALL else ()


def _names(splits: Sequence[InspectedSplit]) -> str:
    return " and ".join(split.name for split in splits)


def _absent(inspection: Inspection, split: InspectedSplit) -> Iterator[Finding]:
    """Folders of a split that are missing, with the command that fetches them, and images that are."""
    presence = split.presence
    assert presence is not None
    about = f"{split.name}: images"
    problems = missing_files(inspection.subject.data, [split.name])
    yield from (fault(about, problem) for problem in problems)
    for folder, images in presence.folders.items() if not problems else ():
        found = f"the folder {folder} is missing: {counted(images, 'image')}"
        yield Finding(FAULT, about, found, "unpack the image archive again, or correct data.root")
    for path in presence.absent:
        yield Finding(FAULT, about, image_problem(Path(path)) or f"{path} is missing")
