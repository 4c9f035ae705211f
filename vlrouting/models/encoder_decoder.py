"""Text generation with an encoder-decoder: visual prefix + prompt -> encoder; decoder -> text, token after token."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers import LogitsProcessorList

from vlrouting.config import GenerateConfig
from vlrouting.models.decoding import decoding, token_loss
from vlrouting.models.finite import NanWatch
from vlrouting.models.joint_model import JointModel, ModelInputs


class EncoderDecoder(JointModel):
    """Any transformers encoder-decoder, such as BART or T5.

    The encoder reads the V projected visual features and then the prompt's tokens; the decoder predicts the text from
    the model's own start token on, as VL-Adapter has it (arXiv 2112.06825). A bottleneck reads the image wherever it
    is attached: in the encoder, in the decoder's self-attention and feed-forward, and in the cross-attention, whose
    keys and values read the encoder's sequence.
    """

    def forward(self, batch: ModelInputs) -> Tensor:
        """Cross-entropy of the target tokens: their sum over `batch.loss_tokens`, or over their number where that is
        None. A scalar, float32.

        The batch has `input_ids` (B, T) and `attention_mask` (B, T): the prompt as the tokenizer makes it; `labels`
        (B, T'): the text as the tokenizer makes it, special tokens included, and -100 on padding; and `visual`.
        """
        visual, labels = self.visual_features(batch), batch["labels"]
        embeddings, mask = self.with_prefix(visual, self.embed(batch), batch["attention_mask"])  # (B, V + T, D)
        language: Any = self.language
        with self.look_at(visual, mask, batch, target_mask=(labels >= 0).long()):
            logits = language(
                inputs_embeds=embeddings,
                attention_mask=mask,
                decoder_input_ids=language.prepare_decoder_input_ids_from_labels(labels),  # one place to the right
                use_cache=False,
            ).logits  # (B, T', vocabulary)
        return token_loss(logits, labels, batch, self.config.label_smoothing if self.training else 0.0)

    @torch.no_grad()
    def generate(self, batch: ModelInputs, config: GenerateConfig, end_token: int) -> Tensor:
        """Generate one text per row. The image is projected once for the whole call; beams share it.

        Args:
            batch: `input_ids` (B, T): prompts, padded on either side; `attention_mask` (B, T); and `visual`.
            config: how to decode.
            end_token: ends a text; also fills up the rows that end before others.

        Returns:
            (B, N) new tokens, without the start token, N at most `config.max_new_tokens`.

        Raises:
            NotFinite: the visual features hold NaN or an infinity, or the logits NaN.
        """
        visual = self.visual_features(batch)
        embeddings, mask = self.with_prefix(visual, self.embed(batch), batch["attention_mask"])
        language: Any = self.language
        with self.look_at(visual, mask, batch):
            watch = NanWatch(len(mask))
            start = language.config.decoder_start_token_id
            generated: Tensor = language.generate(
                inputs_embeds=embeddings,
                attention_mask=mask,
                generation_config=decoding(config, end_token, decoder_start_token_id=start),
                logits_processor=LogitsProcessorList([watch]),
            )
        watch.check()
        return generated[:, 1:]

    def embed(self, batch: ModelInputs) -> Tensor:
        """The prompt's input embeddings (B, T, D), as the encoder itself makes them: some models scale theirs, in the
        embedding (BART) or in the encoder's forward (Pegasus, Marian)."""
        encoder: Any = self.language.get_encoder()  # type: ignore[operator]
        embedding = encoder.get_input_embeddings()
        embeddings: Tensor = embedding(batch["input_ids"])
        return embeddings if hasattr(embedding, "embed_scale") else embeddings * getattr(encoder, "embed_scale", 1.0)
