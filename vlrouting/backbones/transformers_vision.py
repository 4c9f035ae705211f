"""Vision encoders of transformers: the vision tower of CLIP and SigLIP, ViT, DINOv2, and convolutional networks."""

from __future__ import annotations

import inspect
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import constants, try_to_load_from_cache
from safetensors import SafetensorError
from torch import Tensor, nn
from transformers import AutoConfig, AutoImageProcessor, AutoModel

from vlrouting.backbones.frozen import fixed_randomness
from vlrouting.backbones.language import QuietLoading, enable_gradient_checkpointing, without_dropout
from vlrouting.backbones.location import PACKAGE, BackboneError, package_version, resolve_package_path
from vlrouting.backbones.unreadable import SAFETENSORS, why_unreadable
from vlrouting.backbones.vision import VisionEncoder
from vlrouting.config import VisionConfig

_INTERPOLATIONS = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}
"""Numbers of PIL's filters -> timm's names."""


class TransformersEncoder(VisionEncoder):
    """A vision model of transformers, without its classifier."""

    def __init__(self, model: nn.Module, config: VisionConfig, revision: str | None, processor: Any) -> None:
        """
        Raises:
            BackboneError: the model takes no images of this size.
        """
        super().__init__(model, config, revision, _preprocessing(model, processor))
        self._options: dict[str, Any] = {}
        own = getattr(model.config, "image_size", None)
        if own is not None and _pair(own) != self.image_size:
            if "interpolate_pos_encoding" in inspect.signature(model.forward).parameters:
                self._options["interpolate_pos_encoding"] = True
            try:
                self(torch.zeros(1, 3, *self.image_size))
            except (ValueError, RuntimeError):
                raise BackboneError(
                    f"vision.image_size: {self.name} takes no images but those of {_pair(own)} pixels; set it to null"
                ) from None

    def enable_gradient_checkpointing(self) -> None:
        """See `VisionEncoder`."""
        model: Any = self.model
        if not model.supports_gradient_checkpointing:
            raise BackboneError(f"train.gradient_checkpointing: transformers has none for {self.name}; set it to false")
        enable_gradient_checkpointing(model)

    def encode_pooled(self, pixels: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, Dv): the model's own pooled output, else its class token, else the mean."""
        output = self.model(pixel_values=pixels, **self._options)
        states: Tensor = output.last_hidden_state
        pooled: Tensor | None = getattr(output, "pooler_output", None)
        if pooled is not None:
            return pooled.flatten(1)
        if states.dim() == 4:
            return states.mean(dim=(2, 3))
        return states[:, 0] if self._prefix_tokens(states) else states.mean(dim=1)

    def encode_tokens(self, pixels: Tensor) -> Tensor:
        """See `VisionEncoder`."""
        states: Tensor = self.model(pixel_values=pixels, **self._options).last_hidden_state
        if states.dim() == 4:  # a convolutional network, (B, Dv, H', W')
            return states.flatten(2).transpose(1, 2)
        return states[:, self._prefix_tokens(states) :]

    def _prefix_tokens(self, states: Tensor) -> int:
        """Class and register tokens before the patches."""
        patch = getattr(self.model.config, "patch_size", None)
        if patch is None:
            return 0
        patches = [side // length for side, length in zip(self.image_size, _pair(patch), strict=True)]
        return max(0, states.shape[1] - patches[0] * patches[1])  # below 0 where patches are merged, as in Swin


def load_transformers_encoder(config: VisionConfig) -> TransformersEncoder:
    """The encoder of the configuration, frozen.

    Raises:
        BackboneError: it cannot be loaded, or `vision.weights` is a file.
    """
    source = str(resolve_package_path(config.name)) if config.name.startswith(PACKAGE) else config.name
    if config.weights not in ("hub", "random"):
        raise BackboneError("vision.weights: a model of transformers has its own; set it to hub or random")
    where: dict[str, Any] = {"trust_remote_code": False}
    try:
        with QuietLoading():
            whole = AutoConfig.from_pretrained(source, **where)
            processor = AutoImageProcessor.from_pretrained(source, **where)
            model = _model(source, getattr(whole, "vision_config", None) or whole, config, where)
    except ImportError as error:
        raise BackboneError(f"vision.name: '{config.name}': {str(error).strip().splitlines()[0]}") from None
    except (OSError, ValueError, KeyError, pickle.UnpicklingError, SafetensorError) as error:
        raise BackboneError(_why(config.name, error)) from None
    return TransformersEncoder(model, config, _revision(config), processor)


def _model(source: str, model_config: Any, config: VisionConfig, where: Mapping[str, Any]) -> nn.Module:
    """
    Raises:
        ValueError: it is no vision model, or weights of it are missing.
    """
    kind = AutoModel._model_mapping.get(type(model_config), None)
    if kind is None or getattr(kind, "main_input_name", "") != "pixel_values":
        raise ValueError(f"'{model_config.model_type}' is no vision model")
    without_dropout(model_config)
    # The pooler of ViT and its like is not trained in most checkpoints; without it the class token is the output.
    bare = {"add_pooling_layer": False} if "add_pooling_layer" in inspect.signature(kind.__init__).parameters else {}
    if config.weights == "random":
        with fixed_randomness():
            random: nn.Module = kind._from_config(model_config, dtype=torch.float32, **bare)
        return random
    model: nn.Module
    model, report = kind.from_pretrained(
        source, config=model_config, dtype=torch.float32, output_loading_info=True, **bare, **where
    )
    if report["missing_keys"]:
        raise ValueError(f"it has no weights of {min(report['missing_keys'])}")
    return model


def _preprocessing(model: nn.Module, processor: Any) -> dict[str, Any]:
    """As timm has it, of transformers' image processor."""
    size = getattr(model.config, "image_size", None)
    if size is None:
        taken = getattr(processor, "crop_size", None) or processor.size
        known = {key: taken.get(key) for key in ("height", "width", "shortest_edge")}
        size = known["shortest_edge"] or (known["height"], known["width"])
    resample = getattr(processor, "resample", None)
    normalize = getattr(processor, "do_normalize", True)
    return {
        "input_size": (3, *_pair(size)),
        "mean": tuple(processor.image_mean) if normalize else (0.0, 0.0, 0.0),
        "std": tuple(processor.image_std) if normalize else (1.0, 1.0, 1.0),
        "interpolation": "bilinear" if resample is None else _INTERPOLATIONS.get(int(resample), "bilinear"),
    }


def _pair(size: Any) -> tuple[int, int]:
    return (int(size), int(size)) if isinstance(size, int) else (int(size[0]), int(size[1]))


def _revision(config: VisionConfig) -> str | None:
    """Hub commit or package version; None for a folder, whose weights speak for themselves."""
    if config.weights == "random":
        return "random"
    if config.name.startswith(PACKAGE):
        return package_version(config.name)
    if Path(config.name).is_dir():
        return None
    cached = try_to_load_from_cache(config.name, "config.json", constants.HF_HUB_CACHE)
    return f"{config.name}@{Path(cached).parent.name}" if isinstance(cached, str) else None


def _why(name: str, error: Exception) -> str:
    reason = why_unreadable(error, SAFETENSORS)
    if Path(name).is_dir() or name.startswith(PACKAGE):
        return f"vision.name: transformers cannot load the vision model and its image processor in {name} ({reason})"
    return (
        f"vision.name: '{name}' is neither a local folder nor in the hub's local cache, and the hub gave nothing "
        f"({reason[:160]}); on a machine with internet run `hf download {name}` and copy the folder here, then "
        "set vision.name to it"
    )
