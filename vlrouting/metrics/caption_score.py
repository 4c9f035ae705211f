"""COCO's predictions: caption scores over a split, one caption per image."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from vlrouting.config import EvaluateConfig
from vlrouting.metrics.caption_metric import CaptionMetric
from vlrouting.metrics.caption_scores import missing_requirements
from vlrouting.metrics.results_file import write_results_file
from vlrouting.metrics.score import Score

TITLES = {"Bleu_4": "BLEU-4", "METEOR": "METEOR", "ROUGE_L": "ROUGE-L", "CIDEr": "CIDEr"}


class CaptionScore(Score):
    """BLEU, METEOR, ROUGE-L and CIDEr, times 100 as papers print them; CIDEr is compared by."""

    main = "CIDEr"
    results_file = "captions_results.json"

    def __init__(self, examples: Sequence[Any], config: EvaluateConfig) -> None:
        super().__init__(examples, config)
        self._titles = {**TITLES, "SPICE": "SPICE"} if config.spice else TITLES
        references = {example.id: example.answers for example in examples}
        self.metric: CaptionMetric = CaptionMetric(references, spice=config.spice)

    def update(self, predictions: Sequence[str], examples: Sequence[Any]) -> None:
        """See `Score`."""
        self.metric.update({example.id: text for example, text in zip(examples, predictions, strict=True)})

    def compute(self) -> dict[str, float]:
        """See `Score`."""
        return {name: 100 * value for name, value in self.metric.compute().items()}

    def not_computed(self) -> dict[str, str]:
        """See `Score`."""
        return dict(self.metric.last.not_computed) if self.metric.last is not None else {}

    def titles(self) -> dict[str, str]:
        """See `Score`."""
        return dict(self._titles)

    def write_results(self, path: Path, predictions: Mapping[Any, str]) -> None:
        """The COCO server's file: `[{"image_id": 1, "caption": "a cat"}]`."""

        def encode(pairs: list[tuple[Any, str]]) -> str:
            return json.dumps([{"image_id": image, "caption": text} for image, text in pairs], ensure_ascii=False)

        write_results_file(path, predictions, [example.id for example in self.examples], encode)

    @classmethod
    def missing(cls, config: EvaluateConfig) -> dict[str, str]:
        """See `Score`."""
        return missing_requirements(spice=config.spice)
