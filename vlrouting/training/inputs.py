"""What the points of a sweep share: examples, answer vocabulary, and the visual features that are computed once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vlrouting.backbones.feature_cache import FeatureCache, PixelSource, build_feature_cache, feature_statistics
from vlrouting.backbones.load import load_vision
from vlrouting.backbones.vision import VisionEncoder
from vlrouting.bottleneck.fingerprint import weight_fingerprint
from vlrouting.config import TASKS, DataConfig, ExperimentConfig
from vlrouting.data.content_hash import content_hash
from vlrouting.data.datasets.lazy_examples import images_of
from vlrouting.data.datasets.read import read_splits
from vlrouting.data.example import Example
from vlrouting.data.images import load_image
from vlrouting.data.inspection.data_file import DataRecord
from vlrouting.data.loading.batch import VisualSource
from vlrouting.data.loading.sampled_answers import SampledAnswers
from vlrouting.data.shuffled_images import ShuffledImages, shuffled_images
from vlrouting.progress_bar import say
from vlrouting.training.data_record import data_record


@dataclass(frozen=True)
class Visual:
    """Where a point's images come from."""

    source: VisualSource | None = None
    """For the collate functions; None where the model reads no image."""
    shape: tuple[int, int] | None = None
    """(V, Dv) of an example's features; None for the text-only baseline."""
    encoder: VisionEncoder | None = None
    """For a joint model that encodes pixels itself."""
    record: dict[str, Any] | None = None
    """Name and revision of the encoder, for the artifact; its fingerprint too where its features are cached."""
    statistics: tuple[Tensor, Tensor] | None = None
    """Mean and standard deviation of the training images' features, where the model standardises them."""


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
            ("examples", _read_key(data), images), lambda: read_splits(data, images=images)
        )
        return found

    def training_examples(
        self, config: ExperimentConfig, examples: Mapping[str, Sequence[Example]]
    ) -> Sequence[Example]:
        """What an epoch of the task goes through."""
        found: Sequence[Example] = self._once(
            ("training", _read_key(config.data), config.task),
            lambda: TASKS.load(config.task).training_examples(examples[config.data.train]),
        )
        return found

    def answers(self, config: ExperimentConfig, examples: Mapping[str, Sequence[Example]]) -> tuple[str, ...]:
        """The answers that the task's head chooses among; none where text is generated."""
        found: tuple[str, ...] = self._once(
            ("answers", repr(config.data), config.task),
            lambda: TASKS.load(config.task).answers(config.data, examples[config.data.train]),
        )
        return found

    def content_hash(self, config: ExperimentConfig, key: str, examples: Sequence[Example]) -> str:
        """Digest of a split's examples, or of a part of them (`vlrouting.data.content_hash`); `key` says which."""
        root = Path(config.data.root)
        found: str = self._once(("hash", _read_key(config.data), key), lambda: content_hash(examples, root))
        return found

    def data_record(
        self, config: ExperimentConfig, examples: Mapping[str, Sequence[Example]], tokenizer: Any
    ) -> DataRecord:
        """What the data are like."""
        key = ("data record", repr(config.data), config.task, repr(config.language))
        found: DataRecord = self._once(key, lambda: data_record(config, examples, tokenizer))
        return found

    def sampled_answers(self, config: ExperimentConfig, training: Sequence[Example]) -> SampledAnswers | None:
        """Draws the training answers; None where they are what they are."""
        if not config.samples_answers:
            return None
        key = ("sampled", _read_key(config.data), config.task, config.seed)
        found: SampledAnswers = self._once(key, lambda: SampledAnswers(training, config.seed))
        return found

    def visuals(
        self, config: ExperimentConfig, examples: Mapping[str, Mapping[str, Sequence[Example]]]
    ) -> dict[str, Visual]:
        """By dataset, features computed once, or pixels, as the configuration says. All have one encoder.

        Args:
            config: the point.
            examples: by dataset and split.

        Raises:
            BackboneError: the vision encoder cannot be loaded.
            DataError: an image is missing or broken.
        """
        views = config.per_dataset
        if config.model.visual_input == "none":
            return dict.fromkeys(views, Visual())
        encoder = self._encoder(config)
        record: dict[str, Any] = {"name": encoder.name, "revision": encoder.revision}
        sources: dict[str, VisualSource] = {}
        statistics, in_model = None, None
        if config.uses_image and config.vision.cache and not config.trains_vision:
            caches = {name: self._cache(view, examples[name], encoder) for name, view in views.items()}
            key = ("fingerprint", repr(config.vision))
            record["fingerprint"] = self._once(key, lambda: weight_fingerprint(encoder.model))
            if config.model.standardize_visual:
                training = [(caches[name], images_of(examples[name][view.data.train])) for name, view in views.items()]
                statistics = feature_statistics(training)
            sources |= caches
            tokens, width = next(iter(caches.values())).shape
        else:
            if config.uses_image:
                sources, in_model = dict.fromkeys(views, PixelSource(encoder.transform, load_image)), encoder
            tokens, width = _output_shape(encoder)
        found = {}
        for name, view in views.items():
            images = len(examples[name][view.data.test][0].images)
            source = self._source(view, examples[name], sources[name]) if sources else None
            found[name] = Visual(source, (images * tokens, width), in_model, record, statistics)
        return found

    def _source(
        self, config: ExperimentConfig, examples: Mapping[str, Sequence[Example]], source: VisualSource
    ) -> VisualSource:
        """The images of the examples themselves, or of others where the experiment shuffles them."""
        if config.model.visual_input != "shuffled":
            return source
        key = ("shuffled", _read_key(config.data), config.seed)
        return ShuffledImages(source, self._once(key, lambda: shuffled_images(examples, config.seed)))

    def _encoder(self, config: ExperimentConfig) -> VisionEncoder:
        if not config.trains_vision:
            encoder: VisionEncoder = self._once(("vision", repr(config.vision)), lambda: load_vision(config))
            return encoder
        if config.vision.cache:
            names = [name for name, each in config.named_bottlenecks.items() if each.tower == "vision"]
            say(f"feature cache off: {', '.join(names)} trains in the vision tower")
        return load_vision(config)  # each point changes its own

    def _cache(
        self, config: ExperimentConfig, examples: Mapping[str, Sequence[Example]], encoder: VisionEncoder
    ) -> FeatureCache:
        folder = Path(config.vision.cache_dir or Path(config.data.root) / "features")

        def make() -> FeatureCache:
            images: set[Path] = set().union(*map(images_of, examples.values()))
            return build_feature_cache(
                encoder, images, folder, load_image, config.evaluate.batch_size, config.train.workers, self.device
            )

        cache: FeatureCache = self._once(("cache", _read_key(config.data), repr(config.vision)), make)
        return cache

    def _once(self, key: Any, make: Any) -> Any:
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]


def _output_shape(encoder: VisionEncoder) -> tuple[int, int]:
    """(V, Dv) of an image, found by encoding an empty one."""
    device = next(encoder.parameters()).device
    with torch.no_grad():
        features = encoder(torch.zeros(1, 3, *encoder.image_size, device=device))
    return int(features.shape[1]), int(features.shape[2])


def _read_key(data: DataConfig) -> str:
    """What the examples depend on: not how they become texts."""
    return repr(
        replace(
            data,
            min_answer_count=1,
            prompt="",
            max_text_tokens=0,
            max_target_tokens=0,
            sample_answers=False,
        )
    )
