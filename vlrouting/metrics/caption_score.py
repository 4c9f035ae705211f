"""COCO's predictions: caption scores over a split, one caption per image."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vlrouting.config import EvaluateConfig
from vlrouting.metrics.caption_scores import check_references, missing_requirements, score
from vlrouting.metrics.results_file import write_results_file
from vlrouting.metrics.score import Score, Scores

POOLED = ("Bleu_1", "Bleu_2", "Bleu_3", "Bleu_4", "METEOR")
"""Scores that are no means over images, but made of sums."""
TITLES = {"Bleu_4": "BLEU-4", "METEOR": "METEOR", "ROUGE_L": "ROUGE-L", "CIDEr": "CIDEr"}


class CaptionScore(Score):
    """BLEU, METEOR, ROUGE-L and CIDEr, times 100 as papers print them; CIDEr is compared by."""

    main = "CIDEr"
    results_file = "captions_results.json"

    def __init__(self, examples: Sequence[Any], config: EvaluateConfig) -> None:
        """
        Raises:
            ValueError: there are no references, or an image has none.
        """
        super().__init__(examples, config)
        # Sorted, because the order matters (`caption_scores`), and the lines of predictions.jsonl are sorted.
        ordered = sorted(examples, key=lambda example: example.id)
        self.references: dict[Any, Sequence[str]] = {example.id: example.answers for example in ordered}
        check_references(self.references)

    def evaluate(self, predictions: Mapping[Any, str]) -> Scores:
        """See `Score`."""
        said = {image: predictions[image] for image in self.references}
        found = score(said, self.references, spice=self.config.spice)
        per_image: dict[str, Any] = {
            name: {image: 100 * v[name] for image, v in found.per_image.items()}
            for name in found.corpus
            if name not in POOLED
        }
        per_image |= found.summands
        return Scores({name: 100 * value for name, value in found.corpus.items()}, per_image, found.not_computed)

    def titles(self, scores: Scores) -> dict[str, str]:
        """See `Score`."""
        return {**TITLES, "SPICE": "SPICE"} if self.config.spice else dict(TITLES)

    def write_results(self, path: Path, predictions: Mapping[Any, str]) -> None:
        """The COCO server's file: `[{"image_id": 1, "caption": "a cat"}]`."""

        def encode(pairs: list[tuple[Any, str]]) -> str:
            return json.dumps([{"image_id": image, "caption": text} for image, text in pairs], ensure_ascii=False)

        write_results_file(path, predictions, list(self.references), encode)

    @classmethod
    def missing(cls, config: EvaluateConfig) -> dict[str, str]:
        """See `Score`."""
        return missing_requirements(spice=config.spice)
