"""Caption scores of a split as a torchmetrics Metric."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from vlrouting.metrics.caption_scores import CaptionScores, check_references, score
from vlrouting.metrics.gathered import GatheredPredictions, list_ids


class CaptionMetric(GatheredPredictions):
    """BLEU, METEOR, ROUGE-L and CIDEr of a split's captions; each image counts once over all processes.

    Args:
        references: image id -> references, for every image of the split.
        spice: also compute SPICE, if possible.
        options: options of `torchmetrics.Metric`.

    Attributes:
        last: the full result of the last `compute`, on every process: also scores per image, and the reasons for
            missing scores. None before the first `compute`.

    Raises:
        ValueError: there are no references, an image has none, or a reference is not a string.
    """

    higher_is_better = True

    def __init__(self, references: Mapping[int | str, Sequence[str]], spice: bool = False, **options: Any) -> None:
        super().__init__(**options)
        check_references(references)
        self.references = dict(references)
        self.spice = spice
        self.last: CaptionScores | None = None

    def update(self, predictions: Mapping[int | str, str]) -> None:
        """Add a batch's captions: image id -> caption.

        Raises:
            ValueError: an image has no references, or a caption is not a string; the whole batch is ignored then.
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
        """The scores of the split by name, without those that could not be computed (see `last`).

        Raises:
            ValueError: an image has no caption or two different ones; raised on every process.
        """
        self.last = super().compute()
        return dict(self.last.corpus)
