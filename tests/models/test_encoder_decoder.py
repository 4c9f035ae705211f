"""Encoder-decoders: what the loss is, and what decoding must not depend on."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from transformers import (
    BartForConditionalGeneration,
    GenerationConfig,
    PegasusConfig,
    PegasusForConditionalGeneration,
    PreTrainedModel,
)

from tests.tiny_models import WIDTH, batch_of, tiny
from vlrouting.backbones.language import enable_gradient_checkpointing, without_dropout
from vlrouting.bottleneck import attach
from vlrouting.bottleneck.context import IMAGE, PADDING, TEXT, ForwardContext
from vlrouting.config import BottleneckConfig, GenerateConfig, ModelConfig
from vlrouting.data.loading.batch import IGNORED, Batch
from vlrouting.models import encoder_decoder
from vlrouting.models.encoder_decoder import EncoderDecoder
from vlrouting.models.not_finite import NotFinite

PAD, END = 1, 2
FAMILIES = ("bart_scaled", "t5_gated")
PROMPTS = [[7, 8, 9, 10, END], [12, END], [13, 14, END], [15, 16, 17, END]]
TEXTS = [[5, 6, END], [8, END], [9, 11, 12, 13, END], [20, END]]


def language_model(family: str) -> PreTrainedModel:
    """Weights that are large enough for an image to decide on a token."""
    model = tiny(family)
    model.generation_config = GenerationConfig()  # as it is loaded
    generator = torch.Generator().manual_seed(4)
    for name, parameter in model.named_parameters():
        if parameter.dim() > 1:
            parameter.data.normal_(std=1.0 if "shared" in name or "lm_head" in name else 0.3, generator=generator)
    return model


def make(
    family: str = "bart_scaled",
    routing: str = "mul",
    kind: str = "lora",
    visual_tokens: int | None = 2,
    *,
    trained: bool = True,
    **model: Any,
) -> EncoderDecoder:
    """A model with bottlenecks everywhere, the cross-attention's keys and values among them. `trained`: they matter."""
    language = language_model(family)
    torch.manual_seed(1)
    shape = None if visual_tokens is None else (visual_tokens, WIDTH)
    targets = {"targets": ["query", "key", "value"]} if kind == "lora" else {}
    config = BottleneckConfig(kind, rank=4, routing="none" if shape is None else routing, **targets)
    made = EncoderDecoder(attach(language, config), shape, ModelConfig(**model))
    for bottleneck in made.routed.bottlenecks.values() if trained else ():
        torch.nn.init.normal_(bottleneck.up.weight, std=0.4)
    return made.eval()


def images(batch: int, visual_tokens: int = 2) -> Tensor:
    return torch.randn(batch, visual_tokens, WIDTH, generator=torch.Generator().manual_seed(3))


def padded(rows: list[list[int]], fill: int = PAD) -> tuple[Tensor, Tensor]:
    width = max(map(len, rows))
    ids = torch.tensor([row + [fill] * (width - len(row)) for row in rows])
    return ids, torch.tensor([[1] * len(row) + [0] * (width - len(row)) for row in rows])


def training_batch(rows: list[int], visual: Tensor | None) -> Batch:
    ids, mask = padded([PROMPTS[row] for row in rows])
    labels, _ = padded([TEXTS[row] for row in rows], IGNORED)
    return batch_of(ids, mask, labels=labels, visual=None if visual is None else visual[rows])


def prompt_batch(rows: list[int], visual: Tensor | None) -> Batch:
    ids, mask = padded([PROMPTS[row] for row in rows])
    return batch_of(ids, mask, visual=None if visual is None else visual[rows])


def text_of(tokens: Tensor) -> list[list[int]]:
    """Rows up to their end token."""
    return [row[: row.index(END)] if END in row else row for row in tokens.tolist()]


@pytest.mark.parametrize("family", ["bart", "bart_scaled", "t5", "t5_gated"])
def test_the_loss_is_transformers_own_whatever_the_padding_is(family: str) -> None:
    """At the start nothing is changed, without an image: so the frozen model's own loss of the same ids and labels."""
    model = make(family, visual_tokens=None, trained=False)
    batch = training_batch([0, 1, 2, 3], None)
    with torch.no_grad():
        own = model.language(
            input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], labels=batch["labels"]
        ).loss
    torch.testing.assert_close(model(batch), own)
    assert batch.target_tokens == sum(map(len, TEXTS))
    batch.tensors["input_ids"] = batch["input_ids"].where(batch["attention_mask"] == 1, 17)
    torch.testing.assert_close(model(batch), own)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", ["lora", "adapter"])
def test_at_step_zero_it_is_the_frozen_model_with_the_image_before_the_prompt(family: str, kind: str) -> None:
    model, visual = make(family, kind=kind, trained=False), images(4)
    frozen, batch = language_model(family), training_batch([0, 1, 2, 3], visual)
    embedded = frozen.get_encoder().get_input_embeddings()(batch["input_ids"])
    features = model.visual_features(batch)
    assert features is not None
    with torch.no_grad():
        expected = frozen(
            inputs_embeds=torch.cat([features, embedded], dim=1),
            attention_mask=torch.cat([torch.ones(4, 2, dtype=torch.int64), batch["attention_mask"]], dim=1),
            labels=batch["labels"],
        ).loss
    torch.testing.assert_close(model(batch), expected)
    trained = make(family, kind=kind)(batch)
    assert (trained - expected).abs() > 1e-3


def test_an_encoder_that_scales_its_embeddings_in_its_forward_gets_scaled_ones() -> None:
    config = PegasusConfig(
        vocab_size=50, d_model=WIDTH, encoder_layers=1, decoder_layers=1, encoder_attention_heads=3, pad_token_id=1,
        decoder_attention_heads=3, encoder_ffn_dim=48, decoder_ffn_dim=48, scale_embedding=True,
        decoder_start_token_id=1,
    )  # fmt: skip
    without_dropout(config)
    language = PegasusForConditionalGeneration(config).eval()
    lora = BottleneckConfig("lora", rank=4, targets=["*.q_proj"])
    model = EncoderDecoder(attach(language, lora, unfreeze=()), None, ModelConfig())
    batch = training_batch([0, 1], None)
    own = language(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], labels=batch["labels"]).loss
    torch.testing.assert_close(model(batch), own)


@pytest.mark.parametrize("family", FAMILIES)
def test_rows_do_not_mix_in_the_loss_and_a_step_counts_its_target_tokens(family: str) -> None:
    model, visual = make(family), images(4)
    whole = training_batch([0, 1, 2, 3], visual)
    parts = []
    for row in range(4):
        part = training_batch([row], visual)
        part.loss_tokens = whole.target_tokens / 4
        parts.append(model(part))
    torch.testing.assert_close(torch.stack(parts).mean(), model(whole))


@pytest.mark.parametrize("family", FAMILIES)
def test_greedy_takes_the_most_probable_token_each_time(family: str) -> None:
    """Against a loop of whole forwards, and so beam 1 too, which is the same."""
    model, visual = make(family), images(4)
    written = model.generate(prompt_batch([0, 1, 2, 3], visual), GenerateConfig(max_new_tokens=5, beams=1), END)
    assert len({tuple(row) for row in written.tolist()}) > 1
    start = model.language.config.decoder_start_token_id
    for number in range(4):
        batch = prompt_batch([number], visual)
        features = model.visual_features(batch)
        assert features is not None
        embeddings, mask = model.with_prefix(features, model.embed(batch), batch["attention_mask"])
        ids = [start]
        with torch.no_grad(), model.routed.look_at(features):
            while len(ids) <= 5 and ids[1:][-1:] != [END]:
                logits = model.language(
                    inputs_embeds=embeddings, attention_mask=mask, decoder_input_ids=torch.tensor([ids])
                ).logits
                ids.append(int(logits[0, -1].argmax()))
        assert written[number].tolist()[: len(ids) - 1] == ids[1:]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("routing", ["add", "mul", "expand", "gram", "cross_attention"])
def test_cached_decoding_equals_uncached(family: str, routing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    decoding = encoder_decoder.decoding

    def generate(cached: bool) -> Tensor:
        def changed(*options: Any, **tokens: Any) -> GenerationConfig:
            made = decoding(*options, **tokens)
            made.use_cache = cached
            return made

        monkeypatch.setattr(encoder_decoder, "decoding", changed)
        return model.generate(prompt_batch([0, 1, 2, 3], images(4)), config, END)

    model = make(family, routing)
    for beams in (1, 3):
        config = GenerateConfig(max_new_tokens=6, beams=beams)
        assert torch.equal(generate(True), generate(False))


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("beams", [1, 3])
def test_a_batch_is_written_as_its_rows_one_by_one(family: str, beams: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither padding nor another row's image matters. The image is projected once per call."""
    model, visual = make(family), images(4)
    config = GenerateConfig(max_new_tokens=6, beams=beams)
    alone = [text_of(model.generate(prompt_batch([row], visual), config, END))[0] for row in range(4)]
    calls = []
    project = ForwardContext._project
    monkeypatch.setattr(ForwardContext, "_project", lambda self: (calls.append(1), project(self))[1])
    together = model.generate(prompt_batch([0, 1, 2, 3], visual), config, END)
    assert len(calls) == 1
    assert text_of(together) == alone and together.shape[1] <= 6
    assert len({tuple(text) for text in alone}) > 1
    swapped = visual[[1, 0, 2, 3]]
    changed = text_of(model.generate(prompt_batch([0, 1, 2, 3], swapped), config, END))
    assert changed[2:] == alone[2:] and changed[:2] != alone[:2]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("kind", ["lora", "adapter"])
def test_activation_checkpointing_changes_neither_loss_nor_gradients(family: str, kind: str) -> None:
    def step(checkpointing: bool) -> tuple[Tensor, dict[str, Tensor]]:
        model = make(family, kind=kind, projector="mlp")
        if checkpointing:
            enable_gradient_checkpointing(model.language)
        loss = model.train()(training_batch([0, 1, 2, 3], images(4)))
        loss.backward()
        return loss, {name: p.grad for name, p in model.named_parameters() if p.grad is not None}

    (loss, gradients), (again, recomputed) = step(False), step(True)
    torch.testing.assert_close(again, loss)
    assert gradients.keys() == recomputed.keys()
    assert {"encoder", "decoder"} <= {part for name in gradients for part in name.split(".")}
    for name, gradient in gradients.items():
        torch.testing.assert_close(recomputed[name], gradient, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("family", FAMILIES)
def test_bottlenecks_know_the_sequence_that_they_read(family: str) -> None:
    """The decoder's is as long as the encoder's here, and has no image."""
    model = make(family)
    ids, mask = padded([[5, 6, END], [7, END]])
    labels, _ = padded([[5, 6, 7, 8, END], [7, 8, END]], IGNORED)
    batch = batch_of(ids, mask, labels=labels, visual=images(2))
    batch.dataset = "colors"
    seen: list[Any] = []
    model.language.register_forward_pre_hook(lambda *_: seen.append(model.routed._slot.current))
    model(batch)
    assert seen[0].task == "colors"
    codes = {
        name: seen[0].modality_for(2, 5, bottleneck.stream).tolist()
        for name, bottleneck in model.routed.bottlenecks.items()
    }
    encoder = [[IMAGE, IMAGE, TEXT, TEXT, TEXT], [IMAGE, IMAGE, TEXT, TEXT, PADDING]]
    decoder = [[TEXT] * 5, [TEXT, TEXT, TEXT, PADDING, PADDING]]
    for name, found in codes.items():
        cross = "encoder_attn" in name or "EncDecAttention" in name
        reads_encoder = ".encoder." in f".{name}" or (cross and name.endswith((".k", ".v", "k_proj", "v_proj")))
        assert found == (encoder if reads_encoder else decoder), name
    assert sum(found == encoder for found in codes.values()) == 2 * 3 + 2 * 2


@pytest.mark.parametrize("family", FAMILIES)
def test_targets_are_found_in_encoder_decoder_and_cross_attention(family: str) -> None:
    def count(config: BottleneckConfig) -> int:
        routed = attach(tiny(family), config)
        assert routed.trainable_parameters > 0
        return len(routed.bottlenecks)

    cross = "decoder*encoder_attn.q_proj" if family.startswith("bart") else "decoder*EncDecAttention.q"
    gates = 2 if family == "t5_gated" else 1
    assert count(BottleneckConfig("lora", rank=2, routing="mul", targets=[cross])) == 2
    assert count(BottleneckConfig("lora", rank=2, routing="mul", targets=[cross], layers=[1])) == 1
    assert count(BottleneckConfig("lora", rank=2, targets=["query", "value"])) == 2 * 2 * 3
    assert count(BottleneckConfig("lora", rank=2, targets=["up", "down"])) == 4 * (gates + 1)
    # Attention and feed-forward of two encoder blocks; self-, cross-attention and feed-forward of two decoder blocks.
    for position in ("post_module", "parallel"):
        assert count(BottleneckConfig("adapter", rank=2, routing="mul", position=position)) == 2 * 2 + 2 * 3
    for position in ("pre_norm", "post_norm"):
        assert count(BottleneckConfig("adapter", rank=2, position=position)) == 2 * 2 + 2 * 3


@pytest.mark.parametrize("projector", ["linear", "linear_norm", "mlp"])
def test_without_a_prefix_the_image_acts_through_routing_alone(projector: str) -> None:
    model, visual = make(visual_prefix=False, projector=projector), images(4)
    batch = training_batch([0, 1, 2, 3], visual)
    lengths: list[int] = []
    hook = model.language.register_forward_pre_hook(
        lambda _m, _a, options: lengths.append(options["inputs_embeds"].shape[1]), with_kwargs=True
    )
    loss = model(batch)
    hook.remove()
    assert lengths == [batch["input_ids"].shape[1]]
    other = model(training_batch([0, 1, 2, 3], images(4).flip(0)))
    assert (loss - other).abs() > 1e-4
    model.generate(prompt_batch([0, 1], visual), GenerateConfig(max_new_tokens=3, beams=2), END)
    loss.backward()
    assert projector == "linear" or all(
        p.grad is not None and p.grad.abs().sum() > 0 for p in model.projector.parameters()
    )


def test_nan_is_noticed_and_bf16_trains() -> None:
    model = make()
    with pytest.raises(NotFinite):
        model.generate(prompt_batch([0, 1], images(2) * float("nan")), GenerateConfig(max_new_tokens=3), END)
    model.routed.bottlenecks[next(reversed(model.routed.bottlenecks))].up.weight.data.fill_(float("nan"))
    with pytest.raises(NotFinite, match="the logits"):
        model.generate(prompt_batch([0, 1], images(2)), GenerateConfig(max_new_tokens=3, beams=2), END)
    language = tiny("bart").to(torch.bfloat16)
    assert isinstance(language, BartForConditionalGeneration)
    half = EncoderDecoder(attach(language, BottleneckConfig("lora", rank=4, routing="mul")), (2, WIDTH), ModelConfig())
    loss = half(training_batch([0, 1], images(4)))
    loss.backward()
    grads = [bottleneck.up.weight.grad for bottleneck in half.routed.bottlenecks.values()]
    assert all(grad is not None and grad.dtype == torch.float32 and float(grad.abs().sum()) > 0 for grad in grads)
    assert half.generate(prompt_batch([0], images(4)), GenerateConfig(3), END).shape[0] == 1
