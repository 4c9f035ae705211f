"""Classification with an encoder language model: visual prefix + text -> head over the outputs."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from vlrouting.models.joint_model import JointModel, ModelInputs


def answer_head(width: int, outputs: int) -> nn.Sequential:
    """Linear - LayerNorm - GELU - Linear, (B, D) -> (B, A); the hidden layer is as wide as the authors have it."""
    return nn.Sequential(nn.Linear(width, 2 * width), nn.LayerNorm(2 * width), nn.GELU(), nn.Linear(2 * width, outputs))


class EncoderClassifier(JointModel):
    """Any transformers encoder with a head.

    The sequence is the V projected visual features, then the text's tokens; the head reads the first of these (`[CLS]`,
    `<s>`).

    Attributes:
        head: D -> A.
    """

    def __init__(self, *arguments: Any, outputs: int, **options: Any) -> None:
        """The arguments are those of `JointModel`."""
        super().__init__(*arguments, **options)
        self.head = answer_head(self.width, outputs)

    def forward(self, batch: ModelInputs) -> Tensor:
        """Logits (B, A) of `input_ids` (B, T), `attention_mask` (B, T) and `visual`."""
        visual = self.visual_features(batch)  # (B, V, D)
        embeddings, mask = self.with_prefix(visual, self.embed(batch), batch["attention_mask"])  # (B, V + T, D)
        with self.look_at(visual, mask, batch):
            states = self.language(inputs_embeds=embeddings, attention_mask=mask).last_hidden_state  # (B, V + T, D)
        first_text_token = states[:, self.prefix_length(visual)]
        logits: Tensor = self.head(first_text_token.to(self.head[0].weight.dtype))
        return logits
