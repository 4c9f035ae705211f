"""Question answering with an encoder language model: visual prefix + question -> classifier over the answers."""

from __future__ import annotations

from torch import Tensor, nn
from transformers import PreTrainedModel

from vlrouting.backbones.vision import VisionEncoder
from vlrouting.bottleneck import BottleneckConfig
from vlrouting.config import ModelConfig
from vlrouting.models.joint_model import VisualLanguageModel


def answer_head(width: int, answers: int) -> nn.Sequential:
    """Linear - LayerNorm - GELU - Linear, (B, D) -> (B, A); the hidden layer is as wide as the authors have it."""
    return nn.Sequential(nn.Linear(width, 2 * width), nn.LayerNorm(2 * width), nn.GELU(), nn.Linear(2 * width, answers))


class QuestionAnsweringModel(VisualLanguageModel):
    """Any transformers encoder with an answer head.

    The sequence is the V projected visual features, then the question's tokens; the answer is read from the first of
    these (`[CLS]`, `<s>`).

    Attributes:
        head: D -> answers.
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
            answers: size A of the answer vocabulary.
            language, bottleneck, visual_shape, config, vision: see `VisualLanguageModel`.

        Raises:
            ValueError: the bottlenecks do not fit the model.
        """
        super().__init__(language, bottleneck, visual_shape, config, vision)
        self.head = answer_head(int(language.config.hidden_size), answers)

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, pixels: Tensor | None = None, features: Tensor | None = None
    ) -> Tensor:
        """Logits over the answers.

        Args:
            input_ids: (B, T).
            attention_mask: (B, T), 0 on padding.
            pixels: (B, 3, H, W), or (B, N, 3, H, W) of N images, with a vision encoder.
            features: (B, V, Dv), without.

        Returns:
            (B, A).
        """
        text = self.language.get_input_embeddings()(input_ids)  # (B, T, D)
        visual = self.visual_features(len(input_ids), pixels, features)
        embeddings, mask = self.with_prefix(visual, text, attention_mask)
        with self.looking_at(visual):
            states = self.language(inputs_embeds=embeddings, attention_mask=mask).last_hidden_state
        first_text_token = 0 if visual is None else visual.shape[1]
        logits: Tensor = self.head(states[:, first_text_token].to(self.head[0].weight.dtype))
        return logits
