"""How large a point's models are, found by building them on torch's `meta` device: shapes without numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from vlrouting.config import ARCHITECTURES, TASKS, ExperimentConfig
from vlrouting.data.datasets.presence import USUAL_ANSWERS
from vlrouting.data.datasets.registry import format_of
from vlrouting.doctor.data import reading
from vlrouting.doctor.subject import RunContext
from vlrouting.doctor.weights import Source, hub_cached, language_source
from vlrouting.experiment import UserError

if TYPE_CHECKING:
    from vlrouting.backbones.language import LanguageModel
    from vlrouting.backbones.vision import VisionEncoder


class NotKnown(Exception):
    """Sizes that cannot be had here; the text says why."""


class Misfit(Exception):
    """Bottlenecks that do not fit a tower, or cannot train as they are to; the text says why."""


@dataclass(frozen=True)
class VisionSize:
    """The vision encoder."""

    parameters: int
    tokens: int
    """V of one image."""
    width: int
    """Dv."""
    pixels: tuple[int, int]
    """Height and width of what it takes."""


@dataclass(frozen=True)
class ModelSize:
    """A point's model."""

    trainable: int
    frozen: int
    """Parameters of the language model that do not train."""
    in_blocks: int
    """Those of them in blocks, which fsdp shards."""
    blocks: int
    images: dict[str, int]
    """Images of an example, by dataset."""
    vision: VisionSize | None
    """None where no image enters."""
    positions: int | None
    """Longest sequence that the language model takes; None for no limit."""
    answers: int

    def visual_shape(self, dataset: str) -> tuple[int, int] | None:
        """(V, Dv) of an example, of all its images."""
        return None if self.vision is None else (self.images[dataset] * self.vision.tokens, self.vision.width)

    def text_tokens(self, config: ExperimentConfig) -> int:
        """Most tokens of a training text, prompt and target, of the point as a dataset has it."""
        longest: int = TASKS.load(config.task).longest_row(config.data)
        return longest

    def target_tokens(self, config: ExperimentConfig) -> int:
        """Those of them that the decoder of an encoder-decoder reads, apart from the prompt; 0 in other models."""
        longest: int = TASKS.load(config.task).longest_target(config.data)
        return longest if ARCHITECTURES.facts(config.architecture).language == "encoder_decoder" else 0

    def sequence(self, config: ExperimentConfig, dataset: str) -> int:
        """Most tokens of a training example: image and text.

        Args:
            config: the point as the dataset has it.
            dataset: its name.
        """
        return self.text_tokens(config) + self.prefix(config, dataset)

    def longest(self, config: ExperimentConfig, dataset: str) -> int:
        """Most positions of one sequence: an encoder-decoder has two."""
        target = self.target_tokens(config)
        return max(self.sequence(config, dataset) - target, target)

    def prefix(self, config: ExperimentConfig, dataset: str) -> int:
        """Tokens of the image before the text."""
        shape = self.visual_shape(dataset)
        return shape[0] if shape and config.has_prefix else 0


def vision_size(config: ExperimentConfig, context: RunContext) -> VisionSize | None:
    """The encoder of the configuration; None where it cannot be built here, or no image enters."""
    if config.model.visual_input == "none":
        return None
    return context.once(("vision size", repr(config.vision)), lambda: _vision_size(config))


def model_size(config: ExperimentConfig, context: RunContext) -> ModelSize:
    """The sizes of a point.

    Raises:
        NotKnown: a backbone is not on this machine, or cannot be built.
        Misfit: the bottlenecks do not fit it.
    """

    def make() -> ModelSize | Exception:
        try:
            return _model_size(config, context)
        except (NotKnown, Misfit) as error:
            return error

    train = type(config.train)(gradient_checkpointing=config.train.gradient_checkpointing)  # not every tower can
    shaped_by = replace(config, seed=0, plugins=[], train=train, evaluate=type(config.evaluate)())
    made = context.once(("model size", repr(shaped_by)), make)
    if isinstance(made, Exception):
        raise made
    return made


def build(
    config: ExperimentConfig, language: LanguageModel, answers: int, visual_shape: tuple[int, int] | None, encoder: Any
) -> Any:
    """The point's model, as training builds it.

    Raises:
        Misfit: the bottlenecks do not fit the towers.
    """
    from vlrouting.backbones.load import Backbones
    from vlrouting.tasks.joint import build_model

    try:
        return build_model(config, Backbones(language, encoder), visual_shape, answers)
    except UserError as error:
        raise Misfit(str(error)) from None


def _vision_size(config: ExperimentConfig) -> VisionSize | None:
    import torch

    from vlrouting.backbones.vision import load_vision_encoder

    try:
        with _on_meta():
            encoder = load_vision_encoder(replace(config.vision, weights="random"))
            _, tokens, width = encoder(torch.zeros(1, 3, *encoder.image_size)).shape
    except Exception:  # some networks compute with numbers while they are built
        return None
    parameters = sum(parameter.numel() for parameter in encoder.parameters())
    return VisionSize(parameters, tokens, width, encoder.image_size)


def _model_size(config: ExperimentConfig, context: RunContext) -> ModelSize:
    from vlrouting.bottleneck.targets import block_of
    from vlrouting.doctor.data import vocabulary_size

    vision = vision_size(config, context)
    if vision is None and config.model.visual_input != "none":
        raise NotKnown(f"{config.vision.name} cannot be built without its weights")
    images = {name: _images_per_example(view, context) for name, view in config.per_dataset.items()}
    first, of_first = next(iter(config.per_dataset.items()))  # with several, all generate
    vocabulary = vocabulary_size(of_first, context)
    answers = 0 if config.generates else vocabulary if isinstance(vocabulary, int) else USUAL_ANSWERS
    visual_shape = None if vision is None else (images[first] * vision.tokens, vision.width)
    language = _language_on_meta(config)
    encoder = _encoder_on_meta(config) if config.trains_vision else None
    with _on_meta():
        model = build(config, language, answers, visual_shape, encoder)
    frozen = {name: p.numel() for name, p in model.language.named_parameters() if not p.requires_grad}
    return ModelSize(
        trainable=sum(p.numel() for p in model.parameters() if p.requires_grad),
        frozen=sum(frozen.values()),
        in_blocks=sum(count for name, count in frozen.items() if block_of(name)[0]),
        blocks=max(1, len({block_of(name)[0] for name, _ in model.language.named_parameters()} - {""})),
        images=images,
        vision=vision,
        positions=getattr(model.language.config, "max_position_embeddings", None),
        answers=answers,
    )


def _encoder_on_meta(config: ExperimentConfig) -> VisionEncoder:
    """The vision encoder, to attach to."""
    from vlrouting.backbones.location import BackboneError
    from vlrouting.backbones.without_weights import vision_without_weights

    try:
        return vision_without_weights(config)[0]
    except BackboneError as error:
        raise NotKnown(str(error)) from None


def _language_on_meta(config: ExperimentConfig) -> LanguageModel:
    import torch
    from transformers import AutoConfig

    from vlrouting.backbones.language import AUTO_CLASSES, LanguageModel

    language = config.language
    source: Source = language_source(language)
    options = {"gguf_file": language.gguf_file} if language.gguf_file is not None else {}
    kind = AUTO_CLASSES[ARCHITECTURES.facts(config.architecture).language]
    try:
        if source.folder is None and not hub_cached(source):
            raise NotKnown(f"{language.name} is not on this machine")
        architecture = AutoConfig.from_pretrained(
            str(source.folder or language.name), revision=language.revision, local_files_only=True, **options
        )
        with _on_meta():
            model = kind.from_config(architecture, dtype=getattr(torch, language.dtype))
    except NotKnown:
        raise
    except Exception as error:
        raise NotKnown(f"{language.name} cannot be built without its weights ({type(error).__name__})") from None
    return LanguageModel(model, None, "")


@contextmanager
def _on_meta() -> Iterator[None]:
    import torch

    with torch.device("meta"), torch.no_grad():
        yield


def _images_per_example(config: ExperimentConfig, context: RunContext) -> int:
    examples = reading(config, context).examples
    if examples is not None and examples[config.data.test]:
        return len(examples[config.data.test][0].images)
    return format_of(config.data).images_per_example
