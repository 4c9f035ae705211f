"""Images that two splits share, so that a model is scored on images that it was trained on."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

from vlrouting.config.finding import WARNING, Finding
from vlrouting.config.names import counted, listed
from vlrouting.data.example import image_name
from vlrouting.data.inspection.inspection import Inspection


def shared_images(inspection: Inspection) -> Iterator[Finding]:
    """A warning for each two splits with common images, unless both are for the same purpose, as the balanced questions
    of a split are a part of all its questions."""
    root = Path(inspection.subject.data.root)
    for one, other in combinations(inspection.splits, 2):
        if one.role and one.role == other.role:
            continue
        shared = sorted(one.content.images & other.content.images)
        if shared:
            names = listed([image_name(Path(path), root) for path in shared], most=3)
            found = f"{counted(len(shared), 'image')} in both: {names}"
            remedy = "a score on images of the training says little: give every image to one split"
            yield Finding(WARNING, f"{one.name} and {other.name}", found, remedy)
