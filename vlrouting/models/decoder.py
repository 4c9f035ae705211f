"""Text generation with a causal language model: visual prefix + prompt -> text, token after token."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import LogitsProcessorList

from vlrouting.config import GenerateConfig
from vlrouting.models.decoding import decoding, token_loss
from vlrouting.models.finite import NanWatch
from vlrouting.models.joint_model import JointModel, ModelInputs


class Decoder(JointModel):
    """Any transformers causal language model.

    The sequence is the V projected visual features, then the prompt's tokens (none for captions), then the text to be
    generated, which ends with the end token. Its first token is predicted from the position before it: the last one of
    the image, when there is no prompt.
    """

    def forward(self, batch: ModelInputs) -> Tensor:
        """Cross-entropy of the target tokens: their sum over `batch.loss_tokens`, or over their number where that is
        None. A scalar, float32.

        The batch has `input_ids` (B, T): prompt, text and end token, padded on the right; `attention_mask` (B, T);
        `labels` (B, T): the target token, or -100; and `visual`. Without a visual prefix the first position can have
        no label: nothing comes before it.
        """
        visual, labels = self.visual_features(batch), batch["labels"]
        embeddings, mask = self.with_prefix(visual, self.embed(batch), batch["attention_mask"])  # (B, V + T, D)
        with self.look_at(visual, mask, batch):
            logits = self.language(inputs_embeds=embeddings, attention_mask=mask).logits  # (B, V + T, vocabulary)
        prefix = self.prefix_length(visual)
        if not prefix:
            logits, labels = logits[:, :-1], labels[:, 1:]
        else:
            logits = logits[:, prefix - 1 : -1]  # (B, T, vocabulary): what each token is predicted from
        return token_loss(logits, labels, batch, self.config.label_smoothing if self.training else 0.0)

    @torch.no_grad()
    def generate(self, batch: ModelInputs, config: GenerateConfig, end_token: int) -> Tensor:
        """Generate one text per row. The image is projected once for the whole call; beams share it.

        Args:
            batch: `input_ids` (B, T): prompts, padded on either side; T may be 0 where there is a visual prefix;
                `attention_mask` (B, T); and `visual`.
            config: how to decode.
            end_token: ends a text; also fills up the rows that end before others.

        Returns:
            (B, N) new tokens, N at most `config.max_new_tokens`.

        Raises:
            NotFinite: the visual features hold NaN or an infinity, or the logits NaN.
        """
        # Every row's padding moves to its front, since the next token is read from the last position.
        order = batch["attention_mask"].sort(dim=1, stable=True).indices
        visual, text = self.visual_features(batch), self.embed(batch)  # (B, V, D), (B, T, D)
        text = text.gather(1, order.unsqueeze(-1).expand_as(text))
        embeddings, mask = self.with_prefix(visual, text, batch["attention_mask"].gather(1, order))
        with self.look_at(visual, mask, batch):
            watch = NanWatch(len(mask))
            generated: Tensor = self.language.generate(  # type: ignore[operator]
                inputs_embeds=embeddings,
                attention_mask=mask,
                generation_config=decoding(config, end_token),
                logits_processor=LogitsProcessorList([watch]),
            )
        watch.check()
        return generated
