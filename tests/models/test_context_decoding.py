"""Context-PEFT in generation: every token keeps the weights of its modality, with and without a cache, with beams."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import GenerationConfig

from tests.models.test_decoder import images, padded, text_of
from tests.models.test_encoder_decoder import language_model
from tests.tiny_models import WIDTH, batch_of
from vlrouting.bottleneck import BottleneckConfig, attach
from vlrouting.bottleneck.context import IMAGE, TEXT
from vlrouting.config import GenerateConfig, ModelConfig
from vlrouting.data.loading.batch import Batch
from vlrouting.models import encoder_decoder
from vlrouting.models.decoder import Decoder
from vlrouting.models.encoder_decoder import EncoderDecoder

END = 2
PROMPTS = [[7, 8, 9, 10, 11], [12], [13, 14], [15, 16, 17]]
NO_PROMPTS: list[list[int]] = [[], [], [], []]
KINDS: dict[str, dict[str, Any]] = {
    "lora": {"kind": "context_lora", "rank": 3, "bias": True},
    "routed": {"kind": "context_lora", "rank": 3, "contexts": {"image": {"rank": 2}, "text": {"routing": "mul"}}},
    "ia3": {"kind": "context_ia3"},
    "bitfit": {"kind": "context_bitfit"},
}
CASES = [
    *(("gpt2", kind, tokens, NO_PROMPTS) for kind in KINDS for tokens in (1, 3)),
    *(("llama", kind, 3, PROMPTS) for kind in KINDS),
    *(("bart_scaled", kind, 3, PROMPTS) for kind in KINDS),
    ("t5_gated", "routed", 3, PROMPTS),
]
"""Captions after one image token alone too: there, a step with a cache is as long as what was read before."""
CASE = pytest.mark.parametrize(("family", "kind", "tokens", "prompts"), CASES)
Joint = Decoder | EncoderDecoder


def make(family: str, kind: str, tokens: int) -> Joint:
    torch.manual_seed(1)
    routed = attach(language_model(family), BottleneckConfig(**KINDS[kind]), unfreeze=())
    model = EncoderDecoder if family.startswith(("bart", "t5")) else Decoder
    made = model(routed, (tokens, WIDTH), ModelConfig())
    with torch.no_grad():
        for bottleneck in routed.bottlenecks.values():
            for parameter in bottleneck.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.3)
    return made.eval()


def batch_for(model: Joint, tokens: int, prompts: list[list[int]], rows: slice = slice(None)) -> Batch:
    ids, mask = padded(prompts[rows], "right")
    visual = images(len(prompts), tokens)[rows]
    return batch_of(ids, mask, visual=visual)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("family", ["gpt2", "llama"])
@torch.no_grad()
def test_cached_decoding_equals_uncached(family: str, kind: str) -> None:
    """With token ids: transformers generates from embeddings with a cache only. The image's tokens keep their weights
    while the sequence grows behind them."""
    model, ids = make(family, kind, 3), torch.tensor([[5, 6, 7, 8], [9, 10, 11, 12]])
    codes = torch.tensor([[IMAGE, IMAGE, TEXT, TEXT]]).repeat(2, 1)
    for beams in (1, 3):
        written = []
        options: dict[str, Any] = {"max_new_tokens": 6, "num_beams": beams, "do_sample": False, "pad_token_id": 1}
        for cached in (True, False):
            with model.routed.look_at(images(2, 3), modality=codes):
                written.append(model.language.generate(ids, use_cache=cached, **options))  # type: ignore[operator]
        assert written[0].shape[1] > 4 and torch.equal(*written)


@pytest.mark.parametrize("kind", KINDS)
def test_cached_decoding_of_an_encoder_decoder_equals_uncached(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, decoding = make("bart_scaled", kind, 3), encoder_decoder.decoding
    for beams in (1, 3):
        written = []
        for cached in (True, False):

            def changed(*options: Any, cached: bool = cached, **more: Any) -> GenerationConfig:
                made = decoding(*options, **more)
                made.use_cache = cached
                return made

            monkeypatch.setattr(encoder_decoder, "decoding", changed)
            config = GenerateConfig(max_new_tokens=6, beams=beams)
            written.append(model.generate(batch_for(model, 3, PROMPTS), config, END))
        assert torch.equal(*written)
        assert len({tuple(row) for row in written[0].tolist()}) > 1


@CASE
def test_a_batch_is_written_as_its_rows_one_by_one(
    family: str, kind: str, tokens: int, prompts: list[list[int]]
) -> None:
    model = make(family, kind, tokens)
    for beams in (1, 3):
        config = GenerateConfig(max_new_tokens=6, beams=beams)
        rows = [slice(row, row + 1) for row in range(len(prompts))]
        alone = [text_of(model.generate(batch_for(model, tokens, prompts, row), config, END))[0] for row in rows]
        assert text_of(model.generate(batch_for(model, tokens, prompts), config, END)) == alone


@CASE
@torch.no_grad()
def test_greedy_takes_the_most_probable_token_each_time(
    family: str, kind: str, tokens: int, prompts: list[list[int]]
) -> None:
    """Against a loop of whole forward passes, each of which is told the modality of every token."""
    model = make(family, kind, tokens)
    language: Any = model.language
    written = model.generate(batch_for(model, tokens, prompts), GenerateConfig(max_new_tokens=5, beams=1), END)
    for row in range(len(prompts)):
        batch = batch_for(model, tokens, prompts, slice(row, row + 1))
        features = model.visual_features(batch)
        assert features is not None
        ids: list[int] = []
        while len(ids) < 5 and ids[-1:] != [END]:
            known = [*prompts[row]] if isinstance(model, EncoderDecoder) else [*prompts[row], *ids]
            text = model.embed(batch_of(torch.tensor([known], dtype=torch.int64)))
            given: dict[str, Tensor] = {"inputs_embeds": torch.cat([features, text], dim=1)}
            if isinstance(model, EncoderDecoder):
                given["decoder_input_ids"] = torch.tensor([[language.config.decoder_start_token_id, *ids]])
            codes = torch.tensor([[IMAGE] * tokens + [TEXT] * len(known)])
            with model.routed.look_at(features, modality=codes):
                ids.append(int(language(**given).logits[0, -1].argmax()))
        assert written[row].tolist()[: len(ids)] == ids
