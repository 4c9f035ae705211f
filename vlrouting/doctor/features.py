"""The cache of visual features."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from vlrouting.config import ExperimentConfig
from vlrouting.config.finding import FAULT, OK, Finding
from vlrouting.doctor.data import reading
from vlrouting.doctor.folders import spelled_bytes, write_problem
from vlrouting.doctor.sizes import vision_size
from vlrouting.doctor.subject import KeyOf, RunContext

PLACE = "features"


class Cached(NamedTuple):
    """What is known of the features that a point needs: images, a cache of just these, what is wrong with it."""

    images: int
    folder: Path | None = None
    problem: str = ""


def cache_folder(config: ExperimentConfig) -> Path | None:
    """Where the point's features lie; None where it computes none."""
    if not config.uses_image or not config.vision.cache:
        return None
    return Path(config.vision.cache_dir or Path(config.data.root) / "features")


def features(config: ExperimentConfig, context: RunContext, key_of: KeyOf) -> Iterator[Finding]:
    """The features are there, or can be computed and written."""
    folder = cache_folder(config)
    if folder is None:
        return
    if problem := context.once(("write", folder), lambda: write_problem(folder)):
        yield Finding(FAULT, PLACE, problem, "set vision.cache_dir to a folder that you may write to")
        return
    found = cached(config, context)
    if found is None:
        yield Finding(OK, PLACE, "how many will be computed is known once the data can be read")
    elif found.problem:
        remedy = f"remove it, and it is computed again: rm -r '{found.folder}'"
        yield Finding(FAULT, PLACE, f"{found.folder}: {found.problem}", remedy)
    elif found.folder is not None:
        same = "if weights, image size and images are as they were then"
        said = f"those of {found.images:,} images are in {found.folder} ({same})"
        yield Finding(OK, PLACE, said)
    else:
        size = bytes_to_compute(config, context)
        about = f"about {spelled_bytes(size)}" if size is not None else "of a size that is not known here"
        yield Finding(OK, PLACE, f"those of {found.images:,} images will be computed, {about} in {folder}")


def bytes_to_compute(config: ExperimentConfig, context: RunContext) -> int | None:
    """Bytes that the point's features will take that are not there; None where that is not known."""
    if cache_folder(config) is None:
        return 0
    found, size = cached(config, context), vision_size(config, context)
    if found is None or size is None:
        return None
    return 0 if found.folder is not None else found.images * size.tokens * size.width * 4


def cached(config: ExperimentConfig, context: RunContext) -> Cached | None:
    """The cache of the point's images, as far as it can be known without the encoder's weights; None where the images
    are not known."""
    examples = reading(config, context).examples
    if examples is None:
        return None
    key = ("cached", repr(config.data), repr(config.vision))
    images = {str(path) for split in examples.values() for example in split for path in example.images}
    return context.once(key, lambda: _find_cache(config, images))


def _find_cache(config: ExperimentConfig, images: set[str]) -> Cached:
    from vlrouting.backbones.feature_file import (
        INDEX,
        DamagedFeatures,
        FeatureFile,
    )  # numpy is imported when it is needed

    folder = cache_folder(config)
    assert folder is not None
    encoder = config.vision.name.rpartition("/")[2].split(".")[0]  # as `feature_cache` names its folders
    for place in sorted(folder.glob(f"{encoder}-{config.vision.features}-*")):
        if not (place / INDEX).is_file():
            continue
        try:
            found = FeatureFile(place)
            if found.row.keys() == images:
                found.verify()
                return Cached(len(images), place)
        except DamagedFeatures as error:
            if not error.old:
                return Cached(len(images), place, error.what)
    return Cached(len(images))
