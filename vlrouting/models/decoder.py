"""Captions and written answers with a causal language model: visual prefix + prompt -> text, token after token."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional
from transformers import GenerationConfig

from vlrouting.config import GenerateConfig
from vlrouting.models.joint_model import VisualLanguageModel

IGNORED = -100
"""Label of a position that is not learnt: prompt and padding."""


class TextGenerationModel(VisualLanguageModel):
    """Any transformers causal language model.

    The sequence is the V projected visual features, then the prompt's tokens (none for captions), then the text that
    is to be written, which ends with the end token. Its first token is predicted from the last position before it: the
    image's last one, when there is no prompt.
    """

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        labels: Tensor,
        pixels: Tensor | None = None,
        features: Tensor | None = None,
        learnt: float | None = None,
    ) -> Tensor:
        """Mean cross-entropy of the tokens that have a label.

        Args:
            input_ids: (B, T) prompt, text and end token, padded on the right.
            attention_mask: (B, T), 0 on padding.
            labels: (B, T): the token where it is to be learnt, -100 elsewhere. Without an image the first position
                cannot be learnt: nothing comes before it.
            pixels: (B, 3, H, W), with a vision encoder.
            features: (B, V, Dv), without.
            learnt: divide the sum by this number of tokens instead of the batch's own: by an equal share of a larger
                batch's, of which this one is a part.

        Returns:
            A scalar, float32.
        """
        visual = self.visual_features(len(input_ids), pixels, features)
        embeddings, mask = self.with_prefix(visual, self._embed(input_ids), attention_mask)
        with self.looking_at(visual):
            logits = self.language(inputs_embeds=embeddings, attention_mask=mask).logits  # (B, V + T, vocabulary)
        if visual is None:
            logits, labels = logits[:, :-1], labels[:, 1:]
        else:
            logits = logits[:, visual.shape[1] - 1 : -1]  # what each text position is predicted from
        total = functional.cross_entropy(
            logits.flatten(0, 1).float(), labels.flatten(), ignore_index=IGNORED, reduction="sum"
        )
        return total / (learnt if learnt is not None else (labels != IGNORED).sum())

    @torch.no_grad()
    def generate(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        config: GenerateConfig,
        end_token: int,
        pixels: Tensor | None = None,
        features: Tensor | None = None,
        use_cache: bool = True,
    ) -> Tensor:
        """Write one text per row.

        The image is projected once for the whole call. Beams share it: it is repeated here, once.

        Args:
            input_ids: (B, T) prompts, padded on either side; T may be 0 where there is an image.
            attention_mask: (B, T), 0 on padding.
            config: how to decode.
            end_token: ends a text; also fills up the rows that end before others.
            pixels: (B, 3, H, W), with a vision encoder.
            features: (B, V, Dv), without.
            use_cache: keep keys and values of earlier tokens; false computes them anew for every token.

        Returns:
            (B, N) new tokens, N at most `config.max_new_tokens`.
        """
        input_ids, attention_mask = _padded_on_the_left(input_ids, attention_mask)
        visual = self.visual_features(len(input_ids), pixels, features)
        embeddings, mask = self.with_prefix(visual, self._embed(input_ids), attention_mask)
        beams = None if visual is None else visual.repeat_interleave(config.beams, dim=0)  # (B · K, V, D)
        with self.looking_at(beams):
            written: Tensor = self.language.generate(  # type: ignore[operator, assignment]
                inputs_embeds=embeddings,
                attention_mask=mask,
                generation_config=_decoding(config, end_token, use_cache),
            )
        return written

    def _embed(self, input_ids: Tensor) -> Tensor:
        embedded: Tensor = self.language.get_input_embeddings()(input_ids)
        return embedded


def _padded_on_the_left(input_ids: Tensor, attention_mask: Tensor) -> tuple[Tensor, Tensor]:
    """Every row's padding moved to its front, since the next token is read from the last position."""
    order = attention_mask.sort(dim=1, stable=True).indices
    return input_ids.gather(1, order), attention_mask.gather(1, order)


def _decoding(config: GenerateConfig, end_token: int, use_cache: bool) -> GenerationConfig:
    sampling = {"temperature": config.temperature, "top_p": config.top_p, "top_k": 0} if config.sample else {}
    searching = {"length_penalty": config.length_penalty} if config.beams > 1 else {}
    return GenerationConfig(
        max_new_tokens=config.max_new_tokens,
        num_beams=config.beams,
        do_sample=config.sample,
        eos_token_id=end_token,
        pad_token_id=end_token,
        use_cache=use_cache,
        **sampling,
        **searching,
    )
