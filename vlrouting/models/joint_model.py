"""What every joint model has: a language model with bottlenecks, the image as a prefix before its text, a projector."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from vlrouting.backbones.vision import VisionEncoder
from vlrouting.bottleneck import Bottleneck, ForwardContext, Routed
from vlrouting.bottleneck.context import IMAGE
from vlrouting.config import ModelConfig
from vlrouting.models.finite import require_finite
from vlrouting.models.projector import make_projector
from vlrouting.models.standardize import Standardize


class ModelInputs(Protocol):
    """What a model reads of a batch (`vlrouting.data.loading.batch.Batch`): B rows and their tensors by name."""

    dataset: str
    loss_tokens: float | None

    def __len__(self) -> int: ...

    def __getitem__(self, name: str) -> Tensor: ...

    def get(self, name: str) -> Tensor | None: ...

    @property
    def target_tokens(self) -> int: ...


class JointModel(nn.Module):
    """A language model with bottlenecks, a visual projector, and the vision encoder where it computes in the model.

    An architecture is a subclass with `forward`, and with `generate` where it generates text.

    Attributes:
        language: the language model, with bottlenecks.
        routed: what `attach` returned for it.
        standardize: removes mean and standard deviation from the features, with `standardize_visual`.
        projector: Dv -> D, see `make_projector`; None for the text-only baseline.
        vision: the encoder, or None where the features come computed.
        visual_tokens: dataset -> V of its examples. Default: that of `visual_shape`.
    """

    def __init__(
        self,
        routed: Routed,
        visual_shape: tuple[int, int] | None,
        config: ModelConfig,
        vision: VisionEncoder | None = None,
        *,
        outputs: int = 0,
    ) -> None:
        """
        Args:
            routed: the language model with its bottlenecks.
            visual_shape: (V, Dv) of an example's visual features; None where no image enters (`visual_input: none`).
            config: how the image enters.
            vision: encodes pixels in the model; bottlenecks may be attached to it. None takes computed features.
            outputs: outputs A of the head; an architecture that generates text has none.
        """
        super().__init__()
        self.config, self.visual_shape = config, visual_shape
        self.visual_tokens: dict[str, int] = {}
        self.routed, self.language, self.vision = routed, routed.model, vision
        self.width = int(routed.model.config.hidden_size)  # type: ignore[union-attr, arg-type]
        self.standardize: Standardize | None = None
        self.projector: nn.Module | None = None
        if visual_shape is not None:
            features = visual_shape[1]
            self.projector = make_projector(config.projector, features, self.width)
            if config.standardize_visual and config.visual_input in ("image", "shuffled"):
                self.standardize = Standardize(features)

    def train(self, mode: bool = True) -> JointModel:
        """Training mode for the trainable modules. The backbones stay in eval mode, but for blocks with activation
        checkpointing, which transformers checkpoints in training mode only."""
        super().train(mode)
        self.language.eval()
        for module in self.modules():
            if isinstance(module, Bottleneck):
                module.train(mode)
            elif getattr(module, "gradient_checkpointing", False):
                module.training = mode
        return self

    @property
    def trainable_parameters(self) -> int:
        """Number of trainable parameters: bottlenecks, norms, projector and head."""
        return sum(parameter.numel() for parameter in self.parameters() if parameter.requires_grad)

    @property
    def total_parameters(self) -> int:
        """Number of all parameters of the model, the vision encoder's where it is a part of it."""
        return sum(parameter.numel() for parameter in self.parameters())

    def auxiliary_losses(self) -> list[Tensor]:
        """What the bottlenecks of both towers add to the loss of the forward pass that has just run."""
        towers = (self.routed, None if self.vision is None else self.vision.routed)
        found = [routed.auxiliary_loss() for routed in towers if routed is not None]
        return [loss for loss in found if loss is not None]

    def visual_features(self, batch: ModelInputs) -> Tensor | None:
        """What enters prefix and context, (B, V, D); None for the text-only baseline.

        `noise` draws from the global generator, which the task seeds for every batch.

        Raises:
            ValueError: the batch has no `visual`.
            NotFinite: the features hold NaN or an infinity.
        """
        if self.visual_shape is None or self.projector is None:
            return None
        features = self._features(batch, self.visual_shape)  # (B, V, Dv)
        if not (self.training and features.is_cuda):  # there the loss tells, without waiting for the GPU
            require_finite(features, "the visual features")
        if self.standardize is not None:
            features = self.standardize(features)
        visual: Tensor = self.projector(features)  # (B, V, D)
        return functional.layer_norm(visual, visual.shape[-1:]) if self.config.normalize_visual else visual

    def _features(self, batch: ModelInputs, visual_shape: tuple[int, int]) -> Tensor:
        if self.config.visual_input in ("noise", "ones"):
            draw = torch.randn if self.config.visual_input == "noise" else torch.ones
            tokens = self.visual_tokens.get(batch.dataset, visual_shape[0])
            return draw(len(batch), tokens, visual_shape[1], device=next(self.language.parameters()).device)
        visual = batch.get("visual")
        if visual is None:
            raise ValueError("the model needs `visual`: features (B, V, Dv), or pixels for its vision encoder")
        if self.vision is None:
            return visual
        if visual.dim() == 4:  # one image per example, (B, 3, H, W)
            return self._encode(visual, batch.dataset)
        features = self._encode(visual.flatten(0, 1), batch.dataset)  # (B·N, V, Dv)
        return features.reshape(len(visual), -1, features.shape[-1])  # (B, N·V, Dv), one image after the other

    def _encode(self, pixels: Tensor, task: str) -> Tensor:
        """(N, 3, H, W) -> (N, V, Dv). Bottlenecks in the vision tower know the task, and no image."""
        assert self.vision is not None
        routed = self.vision.routed
        with nullcontext() if routed is None else routed.look_at(None, task=task):
            features: Tensor = self.vision(pixels)
        return features

    def embed(self, batch: ModelInputs) -> Tensor:
        """The text's input embeddings, (B, T, D)."""
        embeddings: Tensor = self.language.get_input_embeddings()(batch["input_ids"])  # type: ignore[operator]
        return embeddings

    def look_at(
        self, visual: Tensor | None, mask: Tensor, batch: ModelInputs, target_mask: Tensor | None = None
    ) -> AbstractContextManager[ForwardContext]:
        """The bottlenecks know the forward pass inside the block: its image (B, V, D), what stands where, its dataset.

        Args:
            visual: see `visual_features`.
            mask: (B, V + T), of `with_prefix`.
            batch: what the pass is for.
            target_mask: (B, T') int64, 0 on padding, of the decoder's sequence in an encoder-decoder.
        """
        modality = mask.clone()  # 1 is text, 0 is padding
        modality[:, : self.prefix_length(visual)] = IMAGE
        return self.routed.look_at(visual, modality=modality, target_modality=target_mask, task=batch.dataset)

    def prefix_length(self, visual: Tensor | None) -> int:
        """Positions before the text's: V, or 0 without a visual prefix."""
        return 0 if visual is None or not self.config.visual_prefix else visual.shape[1]

    def with_prefix(self, visual: Tensor | None, text: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """The visual prefix before the text.

        Args:
            visual: (B, V, D), or None.
            text: embeddings (B, T, D).
            mask: (B, T), 0 on padding.

        Returns:
            (B, V + T, D) and (B, V + T); without a visual prefix the text as it is.
        """
        if visual is None or not self.prefix_length(visual):
            return text, mask
        prefix_mask = mask.new_ones(visual.shape[:2])
        return torch.cat([visual.to(text.dtype), text], dim=1), torch.cat([prefix_mask, mask], dim=1)
