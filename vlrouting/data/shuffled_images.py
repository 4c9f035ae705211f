"""The control `visual_input: shuffled`: every example has another example's image, so that the image tells nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from vlrouting.data.datasets.lazy_examples import images_of
from vlrouting.data.derangement import partners
from vlrouting.data.example import DataError, Example


@dataclass(frozen=True)
class ShuffledImages:
    """A VisualSource that reads another image in place of each.

    Attributes:
        source: reads the images.
        instead_of: image -> the one that is read.
    """

    source: Callable[[Sequence[Path]], Tensor]
    instead_of: Mapping[Path, Path]

    def __call__(self, images: Sequence[Path]) -> Tensor:
        """See `VisualSource`."""
        return self.source([self.instead_of[path] for path in images])


def shuffled_images(examples: Mapping[str, Sequence[Example]], seed: int) -> dict[Path, Path]:
    """Image -> another image of the same split. All examples of an image get the same other image.

    An image in several splits gets one of the first of them.

    Args:
        examples: by split.
        seed: the same one gives the same images.

    Raises:
        DataError: a split has one image only.
    """
    instead_of: dict[Path, Path] = {}
    for split, of_split in examples.items():
        images = images_of(of_split) - instead_of.keys()
        if len(images) == 1:
            raise DataError.about("model.visual_input", f"the split '{split}' has one image, so there is no other")
        instead_of |= partners(sorted(images), seed)
    return instead_of
