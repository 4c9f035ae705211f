"""Caption scores as a torchmetrics Metric over a split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vlrouting.metrics.caption_scores import CaptionScores, check_references, score
from vlrouting.metrics.gathered import GatheredPredictions, list_ids


class CaptionMetric(GatheredPredictions):
    """BLEU, METEOR, ROUGE-L and CIDEr of a split's captions, each image counted once over all processes.

    Args:
        references: image id to its references, for every image of the split.
        spice: also compute SPICE, where it can run.
        options: of `torchmetrics.Metric`.

    Attributes:
        last: of the last `compute`, on every process: scores per image too, and what could not be computed, and why.
            None before.

    Raises:
        ValueError: no references, or an image without any, or references that are no strings.
    """

    higher_is_better = True

    def __init__(self, references: Mapping[int | str, Sequence[str]], spice: bool = False, **options: Any) -> None:
        super().__init__(**options)
        check_references(references)
        self.references = dict(references)
        self.spice = spice
        self.last: CaptionScores | None = None

    def update(self, predictions: Mapping[int | str, str]) -> None:
        """Take a batch's captions: image id to caption.

        Raises:
            ValueError: an image without references, or a caption that is no string; nothing of the batch is taken.
        """
        unknown = predictions.keys() - self.references.keys()
        if unknown:
            raise ValueError(f"captions of images that the split does not have: {list_ids(unknown)}")
        super().update(predictions)

    def evaluate(self, predictions: dict[int | str, str]) -> CaptionScores:
        """Score one caption per image of the split.

        Raises:
            ValueError: an image without a caption.
        """
        missing = self.references.keys() - predictions.keys()
        if missing:
            raise ValueError(f"images of the split without a caption: {list_ids(missing)}")
        return score(predictions, {image: self.references[image] for image in predictions}, spice=self.spice)

    def compute(self) -> dict[str, float]:
        """The scores over the split, by name. A score that could not be computed is not among them; see `last`.

        Raises:
            ValueError: an image without a caption, or with two different ones; on every process.
        """
        self.last = super().compute()
        return dict(self.last.corpus)
