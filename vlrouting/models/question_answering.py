"""Question answering with an encoder language model: visual prefix + question -> classifier over the answers."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from vlrouting.backbones.vision import VisionEncoder
from vlrouting.bottleneck import BottleneckConfig, Routed, attach
from vlrouting.config import ModelConfig
from vlrouting.models.standardize import Standardize


def answer_head(width: int, answers: int) -> nn.Sequential:
    """Linear - LayerNorm - GELU - Linear, (B, D) -> (B, A); the hidden layer is as wide as the authors have it."""
    return nn.Sequential(nn.Linear(width, 2 * width), nn.LayerNorm(2 * width), nn.GELU(), nn.Linear(2 * width, answers))


class QuestionAnsweringModel(nn.Module):
    """A frozen encoder with bottlenecks, a visual projector and an answer head.

    The sequence is the V projected visual features, then the question's tokens; the answer is read from the first of
    these (`[CLS]`, `<s>`).

    Attributes:
        language: the language model, with bottlenecks.
        routed: what `attach` gave.
        standardize: takes mean and deviation out of the features, with `standardize_visual`.
        projector: Dv -> D; identity where they are equal, as the authors have it.
        head: D -> answers.
        vision: the frozen encoder, or None where features come computed.
    """

    def __init__(
        self,
        language: PreTrainedModel,
        bottleneck: BottleneckConfig,
        answers: int,
        visual_shape: tuple[int, int] | None,
        config: ModelConfig,
        vision: VisionEncoder | None = None,
    ) -> None:
        """
        Args:
            language: any transformers encoder; frozen and changed in place.
            bottleneck: what to attach.
            answers: size A of the answer vocabulary.
            visual_shape: (V, Dv) of the visual features; None where no image enters (`visual_input: none`).
            config: how the image enters.
            vision: encodes pixels inside the model; None takes computed features.

        Raises:
            ValueError: the bottlenecks do not fit the model.
        """
        super().__init__()
        self.config, self.visual_shape = config, visual_shape
        width = int(language.config.hidden_size)
        self.routed: Routed = attach(language, bottleneck)
        self.language = language
        self.vision = vision
        self.standardize: Standardize | None = None
        self.projector: nn.Module | None = None
        if visual_shape is not None:
            self.projector = nn.Identity() if visual_shape[1] == width else nn.Linear(visual_shape[1], width)
            if config.standardize_visual and config.visual_input == "image":
                self.standardize = Standardize(visual_shape[1])
        self.head = answer_head(width, answers)

    def train(self, mode: bool = True) -> QuestionAnsweringModel:
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
            device = next(self.head.parameters()).device
            noise = self.config.visual_input == "noise"
            features = torch.randn(shape, device=device) if noise else torch.ones(shape, device=device)
        elif pixels is not None and self.vision is not None:
            features = self.vision(pixels)
        if features is None:
            raise ValueError("the model needs visual features (B, V, Dv), or pixels and a vision encoder")
        if self.standardize is not None:
            features = self.standardize(features)
        visual: Tensor = self.projector(features)  # (B, V, D)
        return functional.layer_norm(visual, visual.shape[-1:]) if self.config.normalize_visual else visual

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, pixels: Tensor | None = None, features: Tensor | None = None
    ) -> Tensor:
        """Logits over the answers.

        Args:
            input_ids: (B, T).
            attention_mask: (B, T), 0 on padding.
            pixels: (B, 3, H, W), with a vision encoder.
            features: (B, V, Dv), without.

        Returns:
            (B, A).
        """
        text = self.language.get_input_embeddings()(input_ids)  # (B, T, D)
        visual = self.visual_features(len(input_ids), pixels, features)
        if visual is None:
            states = self.language(inputs_embeds=text, attention_mask=attention_mask).last_hidden_state
            return self._answer(states[:, 0])
        prefix_mask = attention_mask.new_ones(visual.shape[:2])
        with self.routed.look_at(visual):
            states = self.language(
                inputs_embeds=torch.cat([visual.to(text.dtype), text], dim=1),  # (B, V + T, D)
                attention_mask=torch.cat([prefix_mask, attention_mask], dim=1),
            ).last_hidden_state
        return self._answer(states[:, visual.shape[1]])

    def _answer(self, state: Tensor) -> Tensor:
        logits: Tensor = self.head(state)
        return logits
