"""The official number of images, questions, captions and statements of a split, beside what its files hold."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from vlrouting.config import DataConfig
from vlrouting.config.finding import FAULT, OK, Finding
from vlrouting.data.datasets.registry import format_of, known_splits
from vlrouting.data.fetch.manifest import manifest_names, read_manifest
from vlrouting.data.fetch.missing import how_to_fetch
from vlrouting.data.inspection.content import SplitContent

OF_THE_ORIGINAL = 0.5
"""Files with a smaller share of the official number are taken for a user's own under the official names."""
Counts = Mapping[str, int]


def official_counts(data: DataConfig, manifest: Path | None) -> Mapping[str, Counts]:
    """Split -> what is counted -> the official number; empty for a dataset without a manifest.

    Args:
        data: the dataset.
        manifest: a manifest's file. Default: the dataset's own, for the splits that have its files under their official
            names.

    Raises:
        DataError: the manifest is not there, or not valid.
    """
    if manifest is not None:
        return read_manifest(manifest).splits
    if data.prepare is not None or data.name not in manifest_names():
        return {}
    given, known = format_of(data).splits, known_splits(data)
    official = {
        name: split
        for name, split in given.items()
        if (split.questions, split.annotations) == (known[name].questions, known[name].annotations)
    }
    return {name: counts for name, counts in read_manifest(data.name).splits.items() if name in official}


def found_counts(content: SplitContent) -> Counts:
    """What a manifest may state, as it was found."""
    return {
        "examples": content.examples,
        "images": len(content.images),
        "questions": content.questions,
        "statements": content.questions,
        "captions": content.captions,
        "images_per_example": content.images_per_example,
    }


def compare_counts(
    split: str, content: SplitContent, official: Counts, data: DataConfig, certain: bool
) -> Iterator[Finding]:
    """A finding for each number that is not the official one.

    Args:
        split: its name.
        content: what was found.
        official: what the manifest states.
        data: the dataset.
        certain: the files are those of the manifest, however many records they have.
    """
    found, about = found_counts(content), f"{split}: counts"
    for what in official.keys() & found.keys():
        if not certain and found[what] < OF_THE_ORIGINAL * official[what]:
            counts = f"{found[what]:,} {what} where the official split has {official[what]:,}"
            yield Finding(OK, about, f"{counts}: taken for data of your own, and not compared")
            return
    for what, number in official.items():
        if what not in found or found[what] == number:
            continue
        named = what.replace("_", " ")
        reason = "records are missing, or the files are of another version"
        if found[what] > number:
            reason = "records were added, or the files are of another version"
        counts = f"{found[what]:,} {named} found, and the official number is {number:,}"
        yield Finding(FAULT, about, f"{counts}: {reason}", _remedy(split, data))


def _remedy(split: str, data: DataConfig) -> str:
    file = next(iter(format_of(data).split_files(split, known_splits(data)[split])))
    root = Path(data.root)
    return f"remove {root / file}, then {how_to_fetch(data.name, root, file)}"
