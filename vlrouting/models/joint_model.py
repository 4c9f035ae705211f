"""What every vision-language model here has: a frozen language model with bottlenecks, and the image in front of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from vlrouting.backbones.vision import VisionEncoder
from vlrouting.bottleneck import BottleneckConfig, Routed, attach
from vlrouting.config import ModelConfig
from vlrouting.models.standardize import Standardize


class VisualLanguageModel(nn.Module):
    """A frozen language model with bottlenecks, and a visual projector.

    Attributes:
        language: the language model, with bottlenecks.
        routed: what `attach` gave.
        standardize: takes mean and deviation out of the features, with `standardize_visual`.
        projector: Dv -> D; identity where they are equal, as the authors have it; None for the blind floor.
        vision: the frozen encoder, or None where features come computed.
    """

    def __init__(
        self,
        language: PreTrainedModel,
        bottleneck: BottleneckConfig,
        visual_shape: tuple[int, int] | None,
        config: ModelConfig,
        vision: VisionEncoder | None = None,
    ) -> None:
        """
        Args:
            language: frozen and changed in place.
            bottleneck: what to attach.
            visual_shape: (V, Dv) of an example's visual features; None where no image enters (`visual_input: none`).
            config: how the image enters.
            vision: encodes pixels inside the model; None takes computed features.

        Raises:
            ValueError: the bottlenecks do not fit the model.
        """
        super().__init__()
        self.config, self.visual_shape = config, visual_shape
        width = int(language.config.hidden_size)
        self.routed: Routed = attach(language, bottleneck, unfreeze=config.unfreeze)
        self.language = language
        self.vision = vision
        self.standardize: Standardize | None = None
        self.projector: nn.Module | None = None
        if visual_shape is not None:
            self.projector = nn.Identity() if visual_shape[1] == width else nn.Linear(visual_shape[1], width)
            if config.standardize_visual and config.visual_input == "image":
                self.standardize = Standardize(visual_shape[1])

    def train(self, mode: bool = True) -> VisualLanguageModel:
        """Training mode for what trains. The frozen models stay in eval mode, but for blocks that recompute: there
        transformers checkpoints in training mode only."""
        super().train(mode)
        self.language.eval()
        for bottleneck in self.routed.bottlenecks.values():
            bottleneck.train(mode)
        for module in self.language.modules():
            if getattr(module, "gradient_checkpointing", False):
                module.training = mode
        return self

    @property
    def trained_parameters(self) -> int:
        """Numbers that train: bottlenecks, norms, projector and head."""
        return sum(parameter.numel() for parameter in self.parameters() if parameter.requires_grad)

    @property
    def total_parameters(self) -> int:
        """All numbers of the model, the vision encoder's where it is a part of it."""
        return sum(parameter.numel() for parameter in self.parameters())

    def visual_features(self, batch: int, pixels: Tensor | None, features: Tensor | None) -> Tensor | None:
        """What enters prefix and context, (B, V, D); None for the blind floor.

        `noise` draws from the global generator, which the task seeds for every batch.
        """
        if self.visual_shape is None or self.projector is None:
            return None
        if self.config.visual_input in ("noise", "ones"):
            shape = (batch, *self.visual_shape)
            device = next(self.language.parameters()).device
            noise = self.config.visual_input == "noise"
            features = torch.randn(shape, device=device) if noise else torch.ones(shape, device=device)
        elif pixels is not None and self.vision is not None:
            features = self._encode(self.vision, pixels)
        if features is None:
            raise ValueError("the model needs visual features (B, V, Dv), or pixels and a vision encoder")
        if self.standardize is not None:
            features = self.standardize(features)
        visual: Tensor = self.projector(features)  # (B, V, D)
        return functional.layer_norm(visual, visual.shape[-1:]) if self.config.normalize_visual else visual

    @staticmethod
    def _encode(vision: VisionEncoder, pixels: Tensor) -> Tensor:
        """(B, 3, H, W) -> (B, V, Dv); of several images, (B, N, 3, H, W), the features one after the other."""
        if pixels.dim() == 4:
            encoded: Tensor = vision(pixels)
            return encoded
        features: Tensor = vision(pixels.flatten(0, 1))  # (B·N, V, Dv)
        return features.reshape(len(pixels), -1, features.shape[-1])  # (B, N·V, Dv)

    @contextmanager
    def looking_at(self, visual: Tensor | None) -> Iterator[None]:
        """Bottlenecks see the image inside the block; nothing happens where there is none."""
        if visual is None:
            yield
        else:
            with self.routed.look_at(visual):
                yield

    @staticmethod
    def with_prefix(visual: Tensor | None, text: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """The visual prefix put before the text.

        Args:
            visual: (B, V, D), or None.
            text: embeddings (B, T, D).
            mask: (B, T), 0 on padding.

        Returns:
            (B, V + T, D) and (B, V + T); without an image the text as it is.
        """
        if visual is None:
            return text, mask
        prefix_mask = mask.new_ones(visual.shape[:2])
        return torch.cat([visual.to(text.dtype), text], dim=1), torch.cat([prefix_mask, mask], dim=1)
