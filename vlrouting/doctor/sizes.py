"""How large a point's models are, found by building them on torch's `meta` device: shapes without numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from vlrouting.config import ARCHITECTURES, TASKS, ExperimentConfig
from vlrouting.data.datasets.registry import format_of
from vlrouting.doctor.data import reading
from vlrouting.doctor.subject import Surroundings
from vlrouting.doctor.weights import Source, hub_cached, language_source

USUAL_ANSWERS = 3129
"""Of VQAv2; taken where the vocabulary cannot be read yet."""
_OF_ACTIVATION = {"gelu_new": 5, "gelu_fast": 5, "quick_gelu": 2}
"""Tensors as wide as the MLP that autograd keeps of an activation that is written out in several operations."""
_GATED_MLP = 3


class NotKnown(Exception):
    """Sizes that cannot be had here; the text says why."""


class Misfit(Exception):
    """Bottlenecks that do not fit the language model; the text says why."""


@dataclass(frozen=True)
class VisionSize:
    """The vision encoder."""

    parameters: int
    tokens: int
    """V of one image."""
    width: int
    """Dv."""
    pixels: int
    """Height times width of what it takes."""


@dataclass(frozen=True)
class Sizes:
    """A point's model. Kept numbers are those that autograd keeps of a token for the backward pass, in one block."""

    trained: int
    frozen: int
    """Parameters of the language model that do not train."""
    layers: int
    block: int
    """Parameters of one of them, frozen ones."""
    width: int
    """D."""
    kept_wide: int
    """Kept in the precision of the computation: attention, MLP, bottlenecks."""
    kept_norms: int
    """Kept in float32 whatever the precision: what the norms read."""
    vocabulary: int
    """0 where nothing is written."""
    visual_tokens: int
    """V of an example, of all its images."""
    vision: VisionSize | None
    """None where no image enters."""
    positions: int | None
    """Longest sequence that the language model takes; None for no limit."""

    def sequence(self, config: ExperimentConfig) -> int:
        """Most tokens of a training sequence: image, prompt and target."""
        longest: int = TASKS.load(config.task).longest_row(config.data)
        return self.visual_tokens + longest


def vision_size(config: ExperimentConfig, where: Surroundings) -> VisionSize | None:
    """The encoder of the configuration; None where it cannot be built here, or no image enters."""
    if config.model.visual_input == "none":
        return None
    return where.once(("vision size", repr(config.vision)), lambda: _vision_size(config))


def sizes(config: ExperimentConfig, where: Surroundings) -> Sizes:
    """The sizes of a point.

    Raises:
        NotKnown: a backbone is not on this machine, or cannot be built.
        Misfit: the bottlenecks do not fit it.
    """
    parts = (config.language, config.vision, config.bottleneck, config.model, config.data, config.task)

    def make() -> Sizes | Exception:
        try:
            return _sizes(config, where)
        except (NotKnown, Misfit) as error:
            return error

    made = where.once(("sizes", repr(parts)), make)
    if isinstance(made, Exception):
        raise made
    return made


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
    return VisionSize(parameters, tokens, width, encoder.image_size[0] * encoder.image_size[1])


def _sizes(config: ExperimentConfig, where: Surroundings) -> Sizes:
    from vlrouting.bottleneck.targets import block_of

    vision = vision_size(config, where)
    if vision is None and config.model.visual_input != "none":
        raise NotKnown(f"{config.vision.name} cannot be built without its weights")
    visual_tokens = 0 if vision is None else vision.tokens * _images_per_example(config, where)
    visual_shape = None if vision is None else (visual_tokens, vision.width)
    model = _model(config, visual_shape, _answers(config, where))
    language = model.language.config
    frozen = sum(p.numel() for p in model.language.parameters() if not p.requires_grad)
    layers = max(1, int(language.num_hidden_layers))
    in_blocks = sum(p.numel() for n, p in model.language.named_parameters() if block_of(n)[0] and not p.requires_grad)
    wide, norms = _kept(model, layers, getattr(config.bottleneck, "dropout", 0.0) > 0)
    return Sizes(
        trained=model.trainable_parameters,
        frozen=frozen,
        layers=layers,
        block=in_blocks // layers,
        width=int(language.hidden_size),
        kept_wide=wide,
        kept_norms=norms,
        vocabulary=int(language.vocab_size) if config.generates else 0,
        visual_tokens=visual_tokens,
        vision=vision,
        positions=getattr(language, "max_position_embeddings", None),
    )


def _model(config: ExperimentConfig, visual_shape: tuple[int, int] | None, answers: int) -> Any:
    """The point's model without numbers."""
    import torch
    from transformers import AutoModel, AutoModelForCausalLM

    from vlrouting.training.assembly import attach_tower

    try:
        language_config = _language_config(config)
        causal = ARCHITECTURES.facts(config.architecture).language == "causal"
        kind = AutoModelForCausalLM if causal else AutoModel
        with _on_meta():
            language = kind.from_config(language_config, dtype=getattr(torch, config.language.dtype))
    except NotKnown:
        raise
    except Exception as error:
        raise NotKnown(f"{config.language.name} cannot be built without its weights ({type(error).__name__})") from None
    try:
        with _on_meta():
            routed = attach_tower(language, config, "language")
            return ARCHITECTURES.load(config.architecture)(routed, visual_shape, config.model, outputs=answers)
    except ValueError as error:
        raise Misfit(str(error)) from None


def _language_config(config: ExperimentConfig) -> Any:
    from transformers import AutoConfig

    language = config.language
    source: Source = language_source(language)
    if source.folder is None and not hub_cached(source):
        raise NotKnown(f"{language.name} is not on this machine")
    where = {"gguf_file": language.gguf_file} if language.gguf_file is not None else {}
    return AutoConfig.from_pretrained(
        str(source.folder or language.name), revision=language.revision, local_files_only=True, **where
    )


@contextmanager
def _on_meta() -> Iterator[None]:
    import torch

    with torch.device("meta"), torch.no_grad():
        yield


def _images_per_example(config: ExperimentConfig, where: Surroundings) -> int:
    examples = reading(config, where).examples
    if examples is not None and examples[config.data.test]:
        return len(examples[config.data.test][0].images)
    return format_of(config.data).images


def _answers(config: ExperimentConfig, where: Surroundings) -> int:
    """Size of the answer vocabulary."""
    from vlrouting.doctor.batches import vocabulary_size

    return (vocabulary_size(config, where) or USUAL_ANSWERS) if not config.generates else 0


def _kept(model: Any, layers: int, dropout: bool) -> tuple[int, int]:
    """Numbers that autograd keeps of one token in one block on average: in the precision of computing, in float32.

    A frozen Linear keeps nothing. Attention keeps query, key, value and its output; an MLP what its activation reads;
    a norm what it reads (a written-out RMSNorm twice); a bottleneck its input (with dropout: what is left of it, and
    which), what comes down, what the routing gives.
    """
    width = int(model.language.config.hidden_size)
    config = model.language.config
    mlp = _first(config, "intermediate_size", "n_inner", "ffn_dim", "d_ff") or 4 * width
    names = [name for name, _ in model.language.named_modules()]
    activation = _first(config, "hidden_act", "activation_function")
    gated = any(name.endswith(("gate_proj", "wi_1")) for name in names)
    wide = 4 * width + (_GATED_MLP if gated else _OF_ACTIVATION.get(str(activation), 1)) * mlp
    norms = sum(
        (2 if "RMS" in type(module).__name__ else 1) * width
        for module in model.language.modules()
        if type(module).__name__.endswith("Norm")
    )
    bottlenecks = 0
    for bottleneck in model.routed.bottlenecks.values():
        if not hasattr(bottleneck, "down"):
            continue
        rows, inputs = bottleneck.down.weight.shape
        bottlenecks += inputs * (2 if dropout else 1) + 3 * rows
    return wide + bottlenecks // layers, norms // layers


def _first(config: Any, *names: str) -> Any:
    return next((value for name in names if (value := getattr(config, name, None)) is not None), None)
