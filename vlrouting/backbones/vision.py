"""Frozen vision encoders: what all have in common, and those of timm."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import timm
import torch
from PIL import Image
from safetensors.torch import load_file
from timm.data import create_transform, resolve_model_data_config
from torch import Tensor, nn
from torch.nn import functional

from vlrouting.backbones.frozen import fingerprint, fixed_randomness, freeze
from vlrouting.backbones.location import (
    PACKAGE,
    BackboneError,
    is_transformers_model,
    package_version,
    resolve_package_path,
)
from vlrouting.backbones.unreadable import SAFETENSORS, why_unreadable
from vlrouting.backbones.weight_names import efficientnet_to_timm, is_efficientnet_pytorch
from vlrouting.config import VisionConfig
from vlrouting.config.names import nearest_names


class VisionEncoder(nn.Module, ABC):
    """A model that gives visual features. It is frozen, but for what is attached to it or unfrozen in it.

    Attributes:
        image_size: (H, W) of the pixels that it takes.
        revision: what was loaded: hub commit, package version or file.
        transforms: what was changed in the loaded model, a part of the feature cache's key.
        routed: what `vlrouting.bottleneck.attach` returned for `model`; None where nothing was attached.
    """

    transforms = ""
    routed: Any = None

    def __init__(
        self, model: nn.Module, config: VisionConfig, revision: str | None, preprocessing: Mapping[str, Any]
    ) -> None:
        """
        Args:
            model: frozen here.
            config: what it is to give.
            revision: see above.
            preprocessing: `input_size` (3, H, W), `mean`, `std` and `interpolation`, as timm has them.
        """
        super().__init__()
        self.model, self.features, self.name, self.revision = model, config.features, config.name, revision
        self.pool = None if config.pool is None else (config.pool[0], config.pool[1])
        data = dict(preprocessing)
        if config.image_size is not None:
            data["input_size"] = (3, config.image_size, config.image_size)
        self.image_size: tuple[int, int] = tuple(data["input_size"][1:])
        # The whole picture, squashed to a square: a question may be about what a centre crop cuts off.
        self._transform = create_transform(**{**data, "crop_pct": 1.0, "crop_mode": "squash"}, is_training=False)
        freeze(self)

    def train(self, mode: bool = True) -> VisionEncoder:
        """Stays in eval mode: its batch norms must keep their statistics."""
        return super().train(False)

    def transform(self, image: Image.Image) -> Tensor:
        """RGB image -> pixels (3, H, W) float32."""
        pixels: Tensor = self._transform(image)
        return pixels

    @property
    def preprocessing(self) -> str:
        """The transform as text, a part of the feature cache's key."""
        return repr(self._transform)

    def forward(self, pixels: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, 1, Dv) pooled, or (B, V, Dv) patch or grid tokens; with gradients where something in
        the encoder trains."""
        trains = any(parameter.requires_grad for parameter in self.model.parameters())
        with torch.set_grad_enabled(torch.is_grad_enabled() and trains):
            if self.features == "pooled":
                return self.encode_pooled(pixels).unsqueeze(1)
            tokens = self.encode_tokens(pixels)
            return tokens if self.pool is None else self._max_pooled(tokens, self.pool)

    @abstractmethod
    def enable_gradient_checkpointing(self) -> None:
        """Activation checkpointing of every block.

        Raises:
            BackboneError: the model cannot, or not with the bottlenecks that are attached to it.
        """

    @abstractmethod
    def encode_pooled(self, pixels: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, Dv)."""

    @abstractmethod
    def encode_tokens(self, pixels: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, V, Dv), without class and register tokens; row by row where they lie in a grid."""

    def _max_pooled(self, tokens: Tensor, shape: tuple[int, int]) -> Tensor:
        """(B, V, Dv) -> (B, rows · columns, Dv), as VL-Adapter pools its grid (arXiv 2112.06825).

        Raises:
            BackboneError: the tokens lie in no grid, or in a smaller one.
        """
        height, width = self.image_size
        rows = round((tokens.shape[1] * height / width) ** 0.5)
        columns = tokens.shape[1] // max(1, rows)
        if rows * columns != tokens.shape[1]:
            raise BackboneError(
                f"vision.pool: the {tokens.shape[1]} tokens of {self.name} lie in no grid; set it to null"
            )
        if rows < shape[0] or columns < shape[1]:
            raise BackboneError(
                f"vision.pool: {self.name} gives {rows} x {columns} tokens, fewer than {shape[0]} x {shape[1]}; "
                "set smaller numbers, or a larger vision.image_size"
            )
        grid = tokens.transpose(1, 2).reshape(len(tokens), -1, rows, columns)  # (B, Dv, H', W')
        return functional.adaptive_max_pool2d(grid, shape).flatten(2).transpose(1, 2)


class TimmEncoder(VisionEncoder):
    """A model of timm, without its classifier."""

    def __init__(self, model: nn.Module, config: VisionConfig, revision: str | None) -> None:
        super().__init__(model, config, revision, resolve_model_data_config(model))

    def enable_gradient_checkpointing(self) -> None:
        """See `VisionEncoder`."""
        model: Any = self.model
        if self.routed is not None and self.routed.tasks:
            raise BackboneError(
                f"train.gradient_checkpointing: timm recomputes the blocks of {self.name} without the task, which its "
                "bottlenecks have to know (per_task); set it to false, or take the tower from transformers"
            )
        try:
            model.set_grad_checkpointing(True)
        except (AttributeError, AssertionError):
            raise BackboneError(
                f"train.gradient_checkpointing: timm has none for {self.name}; set it to false"
            ) from None

    def encode_pooled(self, pixels: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, Dv), what the classifier would read."""
        model: Any = self.model
        pooled: Tensor = model.forward_head(model.forward_features(pixels), pre_logits=True)
        return pooled

    def encode_tokens(self, pixels: Tensor) -> Tensor:
        """See `VisionEncoder`."""
        model: Any = self.model
        features = model.forward_features(pixels)
        if not isinstance(features, Tensor):
            raise BackboneError(f"vision.features: {self.name} gives several sets of tokens; set it to pooled")
        if features.dim() == 4:  # a convolutional network
            return _grid_tokens(features, int(model.num_features))
        return features[:, getattr(model, "num_prefix_tokens", 0) :]


def _grid_tokens(features: Tensor, width: int) -> Tensor:
    """(B, Dv, H, W), or (B, H, W, Dv) as some timm models have it -> (B, H·W, Dv)."""
    return features.flatten(2).transpose(1, 2) if features.shape[1] == width else features.flatten(1, 2)


def load_vision_encoder(config: VisionConfig) -> VisionEncoder:
    """The encoder of the configuration, frozen.

    Raises:
        BackboneError: there is no such model, or its weights cannot be loaded or do not fit.
    """
    if is_transformers_model(config.name):
        from vlrouting.backbones.transformers_vision import load_transformers_encoder  # it imports this module

        encoder: VisionEncoder = load_transformers_encoder(config)
    else:
        encoder = _load_timm_encoder(config)
    if encoder.revision is None:
        encoder.revision = f"weights {fingerprint(encoder)}"
    return encoder


def _load_timm_encoder(config: VisionConfig) -> VisionEncoder:
    model, revision = load_timm_model(config)
    if hasattr(model, "reset_classifier"):
        model.reset_classifier(0)  # type: ignore[operator]
    return TimmEncoder(model, config, revision)


def load_timm_model(config: VisionConfig) -> tuple[nn.Module, str | None]:
    """The timm model with its classifier, and what its weights are.

    Raises:
        BackboneError: see `load_vision_encoder`.
    """
    folder = _folder(config.name)
    hub = config.weights == "hub"
    try:
        model = _create(config.name if folder is None else f"local-dir:{folder}", hub, config.image_size)
    except Exception as error:
        if folder is not None:
            raise BackboneError(
                f"vision.name: timm cannot load the model in {folder} ({why_unreadable(error, SAFETENSORS)})"
            ) from None
        if config.name.split(".")[0] not in timm.list_models():
            near = nearest_names(config.name.split(".")[0], timm.list_models(), 3)
            raise BackboneError(
                f"vision.name: timm has no model '{config.name}'; near names: {', '.join(near) or 'none'}"
            ) from None
        if not hub:
            raise
        raise BackboneError(
            f"vision.name: the weights of '{config.name}' cannot be fetched from the hub "
            f"({why_unreadable(error, SAFETENSORS)}); on a machine with internet run "
            f"`hf download timm/{config.name} model.safetensors` and set vision.weights to that file"
        ) from None
    if hub and folder is not None:
        return model, package_version(config.name) if config.name.startswith(PACKAGE) else None
    if hub:
        return model, _hub_revision(model)
    if config.weights == "random":
        return model, "random"
    file = resolve_package_path(config.weights) if config.weights.startswith(PACKAGE) else Path(config.weights)
    _load_file_into(model, file, config)
    return model, package_version(config.weights) if config.weights.startswith(PACKAGE) else None


def _folder(name: str) -> Path | None:
    """The folder that a name stands for; None for a model of timm's."""
    if name.startswith(PACKAGE):
        return resolve_package_path(name)
    return Path(name).resolve() if Path(name).is_dir() else None


def _create(name: str, pretrained: bool, image_size: int | None) -> nn.Module:
    """timm's model, made for the image size where it has to know it: transformers fix their number of patches."""
    if image_size is not None:
        try:
            return _create_with(name, pretrained=pretrained, img_size=image_size)
        except TypeError as error:  # a network of convolutions, whose constructor has no such argument
            if "img_size" not in str(error):
                raise
    return _create_with(name, pretrained=pretrained)


def _create_with(name: str, **options: Any) -> nn.Module:
    with fixed_randomness():
        model: nn.Module = timm.create_model(name, **options)
    return model


def _load_file_into(model: nn.Module, file: Path, config: VisionConfig) -> None:
    if not file.is_file():
        raise BackboneError(f"vision.weights: {file}: no such file")
    weights: Any
    try:
        weights = load_file(file) if file.suffix == ".safetensors" else torch.load(file, "cpu", weights_only=True)
    except Exception as error:
        raise BackboneError(f"vision.weights: {file} cannot be read ({why_unreadable(error, SAFETENSORS)})") from None
    weights = weights.get("state_dict", weights)
    if is_efficientnet_pytorch(weights):
        weights = efficientnet_to_timm(weights, model.state_dict())
    if not any("classifier" in n or n.startswith("head") for n in weights) and hasattr(model, "reset_classifier"):
        model.reset_classifier(0)  # type: ignore[operator]
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise BackboneError(f"vision.weights: {file} does not fit timm's '{config.name}': {error}") from None


def _hub_revision(model: nn.Module) -> str | None:
    """Repository and commit of the weights that timm took from the hub's local cache."""
    from huggingface_hub import try_to_load_from_cache

    repository = getattr(model, "pretrained_cfg", {}).get("hf_hub_id")
    for name in ("model.safetensors", "pytorch_model.bin"):
        found = try_to_load_from_cache(repository, name) if repository else None
        if isinstance(found, str):
            return f"{repository}@{Path(found).parent.name}"
    return repository
