"""Captions and generated answers: what the loss covers, and what decoding must not depend on."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from tests.tiny_models import WIDTH, batch_of, tiny
from vlrouting.bottleneck import attach
from vlrouting.config import BottleneckConfig, GenerateConfig, ModelConfig
from vlrouting.data.loading.batch import IGNORED
from vlrouting.models.decoder import Decoder

END = 2
FAMILIES = ("gpt2", "llama")
ROUTINGS = ("add", "mul", "expand", "gram")


def make(
    family: str = "gpt2",
    routing: str = "mul",
    kind: str = "lora",
    visual_tokens: int | None = 2,
) -> Decoder:
    """A model whose bottlenecks matter: `up` is not zero."""
    torch.manual_seed(1)
    shape = None if visual_tokens is None else (visual_tokens, WIDTH)
    config = BottleneckConfig(kind, rank=4, routing="none" if shape is None else routing)
    model = Decoder(attach(tiny(family), config), shape, ModelConfig())
    for bottleneck in model.routed.bottlenecks.values():
        torch.nn.init.normal_(bottleneck.up.weight, std=0.4)
    return model.eval()


def images(batch: int, visual_tokens: int = 2) -> Tensor:
    return torch.randn(batch, visual_tokens, WIDTH, generator=torch.Generator().manual_seed(3))


def no_prompt(batch: int) -> tuple[Tensor, Tensor]:
    empty = torch.zeros(batch, 0, dtype=torch.int64)
    return empty, empty.clone()


def padded(rows: list[list[int]], side: str) -> tuple[Tensor, Tensor]:
    width = max(map(len, rows))
    ids, mask = torch.ones(len(rows), width, dtype=torch.int64), torch.zeros(len(rows), width, dtype=torch.int64)
    for number, row in enumerate(rows):
        place = slice(0, len(row)) if side == "right" else slice(width - len(row), width)
        ids[number, place], mask[number, place] = torch.tensor(row), 1
    return ids, mask


def text_of(tokens: Tensor) -> list[list[int]]:
    """Rows up to their end token."""
    return [row[: row.index(END)] if END in row else row for row in tokens.tolist()]


def loop_loss(model: Decoder, prompts: list[list[int]], texts: list[list[int]], visual: Tensor) -> float:
    """One row at a time without padding, one token at a time, in float64."""
    total, count = 0.0, 0
    for prompt, text, image in zip(prompts, texts, visual, strict=True):
        learnt = [*text, END]
        ids = torch.tensor([[*prompt, *learnt]])
        features = model.visual_features(batch_of(ids, visual=image[None]))
        assert features is not None
        embedded = torch.cat([features, model.language.get_input_embeddings()(ids)], dim=1)
        with torch.no_grad(), model.routed.look_at(features):
            logits = model.language(inputs_embeds=embedded).logits[0].double()
        for number, token in enumerate(learnt):
            before = logits[features.shape[1] + len(prompt) + number - 1]
            total -= float(before[token] - before.exp().sum().log())
            count += 1
    return total / count


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("prompts", [[[], [], []], [[7, 8, 9], [7], [9, 9]]], ids=["captions", "after a prompt"])
def test_the_loss_covers_the_first_word_and_one_end_token_and_no_padding(family: str, prompts: list[list[int]]) -> None:
    model, visual = make(family), images(3)
    texts = [[5, 6, 7, 8, 9], [11], [12, 13]]
    rows = [[*prompt, *text, END] for prompt, text in zip(prompts, texts, strict=True)]
    ids, mask = padded(rows, "right")
    labels = torch.full_like(ids, IGNORED)
    for number, (prompt, row) in enumerate(zip(prompts, rows, strict=True)):
        labels[number, len(prompt) : len(row)] = torch.tensor(row[len(prompt) :])
    loss = model(batch_of(ids, mask, labels=labels, visual=visual))
    assert loss.item() == pytest.approx(loop_loss(model, prompts, texts, visual), abs=1e-5)
    ids[mask == 0] = 17  # whatever the padding is
    torch.testing.assert_close(model(batch_of(ids, mask, labels=labels, visual=visual)), loss, rtol=0, atol=1e-6)


def test_without_an_image_the_text_is_learnt_from_the_start_token_on() -> None:
    model = make(visual_tokens=None)
    ids = torch.tensor([[END, 5, 6, END]])
    labels = torch.tensor([[IGNORED, 5, 6, END]])
    with torch.no_grad():
        logits = model.language(input_ids=ids).logits[0].double()
    expected = -sum(float(logits[i][t] - logits[i].exp().sum().log()) for i, t in enumerate([5, 6, END])) / 3
    assert model(batch_of(ids, labels=labels)).item() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("routing", [*ROUTINGS, "cross_attention"])
def test_greedy_decoding_with_a_cache_takes_the_most_probable_token_of_whole_passes(family: str, routing: str) -> None:
    """transformers always uses its cache where a decoder generates from embeddings, so this is the comparison with a
    model that has none; of beam 1 too, which is greedy decoding."""
    model, visual = make(family, routing), images(4)
    generated = model.generate(batch_of(*no_prompt(4), visual=visual), GenerateConfig(max_new_tokens=8, beams=1), END)
    for number in range(4):
        features = model.visual_features(batch_of(*no_prompt(1), visual=visual[number : number + 1]))
        assert features is not None
        ids: list[int] = []
        with torch.no_grad(), model.routed.look_at(features):
            while len(ids) < 8 and ids[-1:] != [END]:
                text = model.language.get_input_embeddings()(torch.tensor([ids], dtype=torch.int64))
                given = torch.cat([features, text], dim=1)
                logits = model.language(inputs_embeds=given, use_cache=False).logits
                ids.append(int(logits[0, -1].argmax()))
        assert generated[number].tolist()[: len(ids)] == ids
    assert len({tuple(row) for row in generated.tolist()}) > 1  # the image decides


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("beams", [1, 4])
def test_a_batch_is_written_as_its_rows_one_by_one_whatever_side_is_padded(family: str, beams: int) -> None:
    model, visual = make(family), images(4)
    prompts = [[7, 8, 9, 10, 11], [12], [13, 14], [15, 16, 17]]
    config = GenerateConfig(max_new_tokens=7, beams=beams)
    alone = [
        text_of(model.generate(batch_of(*padded([prompt], "left"), visual=visual[number : number + 1]), config, END))[0]
        for number, prompt in enumerate(prompts)
    ]
    for side in ("left", "right"):
        assert text_of(model.generate(batch_of(*padded(prompts, side), visual=visual), config, END)) == alone


@pytest.mark.parametrize("kind", ["lora", "adapter"])
@pytest.mark.parametrize("beams", [1, 3])
def test_the_same_image_repeated_gets_the_same_caption(kind: str, beams: int) -> None:
    model = make(kind=kind)
    config = GenerateConfig(max_new_tokens=8, beams=beams)
    written = model.generate(batch_of(*no_prompt(5), visual=images(1).expand(5, -1, -1)), config, END)
    assert len({tuple(row) for row in written.tolist()}) == 1


def test_beam_search_finds_a_text_that_is_at_least_as_probable() -> None:
    model, visual = make(), images(6)

    def mean_log_probability(tokens: Tensor) -> list[float]:
        found = []
        for number, row in enumerate(tokens.tolist()):
            text = row[: row.index(END) + 1] if END in row else row
            labels = torch.tensor([text])
            found.append(-model(batch_of(labels, labels=labels, visual=visual[number : number + 1])).item())
        return found

    greedy, beam = (
        mean_log_probability(model.generate(batch_of(*no_prompt(6), visual=visual), GenerateConfig(6, beams), END))
        for beams in (1, 6)
    )
    assert all(b >= g - 1e-6 for g, b in zip(greedy, beam, strict=True))
    assert sum(beam) > sum(greedy)


def test_lengths_count_new_tokens_only() -> None:
    model = make(visual_tokens=5)
    prompt = padded([[7] * 9], "left")
    assert model.generate(batch_of(*prompt, visual=images(1, 5)), GenerateConfig(max_new_tokens=3), END).shape[1] <= 3


def test_sampling_repeats_for_the_same_seed_and_differs_for_another() -> None:
    model, visual = make(), images(8)
    config = GenerateConfig(max_new_tokens=6, sample=True, temperature=1.5)

    def sampled(seed: int) -> Tensor:
        torch.manual_seed(seed)
        return model.generate(batch_of(*no_prompt(8), visual=visual), config, END)

    assert torch.equal(sampled(1), sampled(1))
    assert text_of(sampled(1)) != text_of(sampled(2))


def test_without_the_context_a_routed_model_does_not_write() -> None:
    model = make()
    embedded = torch.zeros(1, 2, WIDTH)
    with pytest.raises(RuntimeError, match=r"transformer\.h\.0\.attn\.c_attn: routing 'mul' needs the image"):
        model.language.generate(inputs_embeds=embedded, max_new_tokens=2)


def test_the_image_is_projected_once_per_call(monkeypatch: pytest.MonkeyPatch) -> None:
    from vlrouting.bottleneck.context import ForwardContext

    model, calls = make(), []
    project = ForwardContext._project
    monkeypatch.setattr(ForwardContext, "_project", lambda self: (calls.append(1), project(self))[1])
    model.generate(batch_of(*no_prompt(2), visual=images(2)), GenerateConfig(max_new_tokens=6, beams=3), END)
    assert len(calls) == 1


def test_a_bf16_language_model_trains_and_writes() -> None:
    torch.manual_seed(1)
    language = tiny("llama").to(torch.bfloat16)
    model = Decoder(attach(language, BottleneckConfig("lora", rank=4, routing="mul")), (1, WIDTH), ModelConfig())
    ids = torch.tensor([[5, 6, END]])
    loss = model(batch_of(ids, labels=ids, visual=images(1, 1)))
    loss.backward()
    grads = [bottleneck.up.weight.grad for bottleneck in model.routed.bottlenecks.values()]
    assert all(grad is not None and grad.dtype == torch.float32 and float(grad.abs().sum()) > 0 for grad in grads)
    assert math.isfinite(loss.item())
    assert model.generate(batch_of(*no_prompt(1), visual=images(1, 1)), GenerateConfig(3), END).shape[0] == 1


def test_the_loss_is_a_share_of_a_larger_step_where_the_batch_says_so() -> None:
    model, visual = make(), images(2)
    ids, mask = padded([[5, 6, 7, END], [8, END]], "right")
    labels = torch.where(mask == 1, ids, IGNORED)
    whole = batch_of(ids, mask, labels=labels, visual=visual)
    assert whole.target_tokens == 6
    parts = []
    for row in range(2):
        part = batch_of(ids[[row]], mask[[row]], labels=labels[[row]], visual=visual[[row]])
        part.loss_tokens = 6 / 2
        parts.append(model(part))
    torch.testing.assert_close(torch.stack(parts).mean(), model(whole))


def test_bottlenecks_know_what_stands_where_and_the_dataset(monkeypatch: pytest.MonkeyPatch) -> None:
    model = make()
    ids, mask = padded([[5, 6], [7]], "right")
    batch = batch_of(ids, mask, labels=ids, visual=images(2))
    batch.dataset = "colors"
    seen = []
    model.language.register_forward_pre_hook(lambda *_: seen.append(model.routed._slot.current))
    model(batch)
    assert seen[0] is not None and seen[0].task == "colors"
    assert seen[0].modality.tolist() == [[2, 2, 1, 1], [2, 2, 1, 0]]
