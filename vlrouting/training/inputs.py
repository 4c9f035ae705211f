"""What the points of a sweep share: examples, answer vocabulary, and the visual features that are computed once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vlrouting.backbones.feature_cache import FeatureCache, PixelSource, build_feature_cache
from vlrouting.backbones.vision import VisionEncoder, load_vision_encoder
from vlrouting.config import DataConfig, ExperimentConfig
from vlrouting.data.datasets.captions import training_pairs
from vlrouting.data.datasets.presence import answers_path
from vlrouting.data.datasets.read import read_splits
from vlrouting.data.datasets.registry import format_of
from vlrouting.data.example import Example
from vlrouting.data.images import load_image
from vlrouting.data.loading.batch import VisualSource
from vlrouting.data.loading.vocabulary import AnswerVocabulary


@dataclass(frozen=True)
class Visual:
    """Where a point's images come from.

    Attributes:
        source: for the data module; None where no image is looked at.
        shape: (V, Dv) of an example's features; None for the blind floor.
        encoder: the frozen encoder, for a model that encodes pixels itself.
        record: name and revision, for the artifact.
        statistics: mean and deviation of the training images' features, where the model standardises them.
    """

    source: VisualSource | None
    shape: tuple[int, int] | None
    encoder: VisionEncoder | None
    record: dict[str, str | None] | None
    statistics: tuple[Tensor, Tensor] | None = None


@dataclass
class SharedInputs:
    """Reads and computes each thing once per process."""

    device: torch.device
    _made: dict[Any, Any] = field(default_factory=dict)

    def examples(self, data: DataConfig, images: bool) -> dict[str, Sequence[Example]]:
        """Examples by split.

        Raises:
            DataError: something is missing or broken.
        """
        found: dict[str, Sequence[Example]] = self._once(
            ("examples", repr(data), images), lambda: read_splits(data, images=images)
        )
        return found

    def learnt_examples(self, config: ExperimentConfig) -> Sequence[Example]:
        """The training split as a model that writes goes through it: one text at a time."""
        examples = self.examples(config.data, images=config.model.visual_input == "image")[config.data.train]
        if config.task != "captioning":
            return [example for example in examples if example.answer]
        pairs: Sequence[Example] = self._once(("pairs", repr(config.data)), lambda: training_pairs(examples))
        return pairs

    def vocabulary(self, data: DataConfig, examples: Mapping[str, Sequence[Example]]) -> AnswerVocabulary:
        """The answers, read from `data.answers` or built from the training split."""

        def make() -> AnswerVocabulary:
            path = answers_path(data)
            if path is not None:
                return AnswerVocabulary.read(path)
            normalize = format_of(data).normalize_answer
            return AnswerVocabulary.build(examples[data.train], data.min_answer_count, normalize)

        vocabulary: AnswerVocabulary = self._once(("vocabulary", repr(data)), make)
        return vocabulary

    def visual(self, config: ExperimentConfig, examples: Mapping[str, Sequence[Example]]) -> Visual:
        """Features computed once, or pixels, as the configuration says.

        Raises:
            BackboneError: the vision encoder is not to be had.
            DataError: an image is missing or broken.
        """
        if config.model.visual_input == "none":
            return Visual(None, None, None, None)
        encoder: VisionEncoder = self._once(("vision", repr(config.vision)), lambda: load_vision_encoder(config.vision))
        record = {"name": encoder.name, "revision": encoder.revision}
        images = len(examples[config.data.test][0].images)
        if config.model.visual_input != "image":
            return Visual(None, _output_shape(encoder, images), None, record)
        if not config.vision.cache:
            return Visual(PixelSource(encoder.transform, load_image), _output_shape(encoder, images), encoder, record)
        cache = self._cache(config, examples, encoder)
        statistics = None
        if config.model.standardize_visual:
            statistics = cache.statistics(path for example in examples[config.data.train] for path in example.images)
        visual_tokens, width = cache.shape
        return Visual(cache, (images * visual_tokens, width), None, record, statistics)

    def _cache(
        self, config: ExperimentConfig, examples: Mapping[str, Sequence[Example]], encoder: VisionEncoder
    ) -> FeatureCache:
        folder = Path(config.vision.cache_dir or Path(config.data.root) / "features")

        def make() -> FeatureCache:
            images = {path for split in examples.values() for example in split for path in example.images}
            return build_feature_cache(
                encoder, images, folder, load_image, config.evaluate.batch_size, config.train.workers, self.device
            )

        cache: FeatureCache = self._once(("cache", repr(config.data), repr(config.vision)), make)
        return cache

    def _once(self, key: Any, make: Any) -> Any:
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]


def _output_shape(encoder: VisionEncoder, images: int) -> tuple[int, int]:
    """(V, Dv) of an example of so many images, found by encoding an empty one."""
    device = next(encoder.parameters()).device
    features = encoder(torch.zeros(1, 3, *encoder.image_size, device=device))
    return images * int(features.shape[1]), int(features.shape[2])
