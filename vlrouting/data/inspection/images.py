"""Are the images there, and do they open? A folder is listed once; opening uses every core."""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from vlrouting.data.example import DataError

SAMPLE = 500
"""Images of a split that `--images sample` opens."""
SEED = 0
"""Of the sample."""
_CHUNK = 64
"""Images that a process opens at a time."""
_WORTH_A_POOL = 512
"""Fewer images open sooner in this process than others have started."""


def image_problem(path: Path) -> str | None:
    """What is wrong with an image, as `load_image` says it; None where it opens."""
    from vlrouting.data.images import load_image

    try:
        load_image(path)
    except DataError as error:
        return str(error)
    return None


@dataclass
class Presence:
    """Which images are there.

    Attributes:
        there: images that are.
        absent: images that are not in their folder.
        folders: folders that are not there -> their images.
        unnamed: image files in the folders that no record names.
    """

    there: list[str] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)
    folders: dict[str, list[str]] = field(default_factory=dict)
    unnamed: int = 0


def present_images(images: Iterable[str]) -> Presence:
    """Look for images. Opens nothing: each folder is listed once."""
    names: dict[str, set[str]] = {}
    for path in images:
        folder, name = os.path.split(path)
        names.setdefault(folder, set()).add(name)
    presence = Presence()
    for folder, named in sorted(names.items()):
        found = _files_in(folder or ".")
        if found is None:
            presence.folders[folder] = [os.path.join(folder, name) for name in named]
            continue
        presence.unnamed += _count_of_same_kinds(found - named, named)
        presence.there += (os.path.join(folder, name) for name in sorted(named & found))
        for name in sorted(named - found):
            path = os.path.join(folder, name)  # a disk may take other letter cases for the same name
            (presence.there if os.path.exists(path) else presence.absent).append(path)
    return presence


def _count_of_same_kinds(files: set[str], images: set[str]) -> int:
    """How many of the files are images by their suffix: a table may lie in the same folder."""
    kinds = {os.path.splitext(name)[1].lower() for name in images}
    return sum(os.path.splitext(name)[1].lower() in kinds for name in files)


def _files_in(folder: str) -> set[str] | None:
    """Names of the files in a folder, hidden ones left out; None where there is no such folder."""
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries if not entry.name.startswith(".") and not entry.is_dir()}
    except (OSError, ValueError):
        return None


def sampled(images: Iterable[str]) -> list[str]:
    """At most `SAMPLE` of the images, the same ones every time."""
    ordered = sorted(images)
    return sorted(random.Random(SEED).sample(ordered, min(SAMPLE, len(ordered))))


def open_images(images: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """Open every image; yields each with what is wrong with it, None for nothing.

    Raises:
        DataError: a process that opens images was killed.
    """
    processes = min(os.cpu_count() or 1, len(images) // _WORTH_A_POOL)
    if processes < 2:
        for path in images:
            yield path, image_problem(Path(path))
        return
    # Not forked: this process may have threads, and the examples in its memory would be copied.
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(processes, context, initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_IGN))
    try:
        yield from _opened_in(pool, images, most=4 * processes)
    except BrokenProcessPool as error:
        remedy = "free memory, or open a part of them with --images sample"
        raise DataError(f"a process that opened images was killed, most likely for want of memory; {remedy}") from error
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _opened_in(pool: ProcessPoolExecutor, images: Sequence[str], most: int) -> Iterator[tuple[str, str | None]]:
    """Gives the pool `most` parts at a time: all of them at once would take more memory than their answers."""
    chunks = (images[start : start + _CHUNK] for start in range(0, len(images), _CHUNK))
    pending: set[Future[list[tuple[str, str | None]]]] = set()
    while True:
        pending |= {pool.submit(_opened, chunk) for chunk in islice(chunks, most - len(pending))}
        if not pending:
            return
        done, pending = wait(pending, return_when=FIRST_COMPLETED)
        for future in done:
            yield from future.result()


def _opened(images: Sequence[str]) -> list[tuple[str, str | None]]:
    return [(path, image_problem(Path(path))) for path in images]
