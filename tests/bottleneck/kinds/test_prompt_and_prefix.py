"""Prompt and prefix tuning: against formulas in loops, against peft, in generation, and in what they leave alone."""

from __future__ import annotations

import copy
import math
import threading
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from torch import Tensor, nn

from tests.bottleneck.kinds.by_hand import matvec, numbers
from tests.tiny_models import WIDTH, images, inputs, tiny
from vlrouting.bottleneck import BottleneckConfig, Routed, attach, load
from vlrouting.bottleneck.context import IMAGE, TEXT

FAMILIES = ("bert", "roberta", "gpt2", "llama", "qwen3", "bart", "t5")
GENERATING = ("gpt2", "llama", "bart", "t5")
L = 3


def config(kind: str, hidden: int | None = None, **keys: Any) -> BottleneckConfig:
    return BottleneckConfig(kind, tokens=L, hidden=hidden, **keys)


def randomised(routed: Routed) -> Routed:
    generator = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for bottleneck in routed.bottlenecks.values():
            for parameter in bottleneck.parameters():
                parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.6)
    return routed


def outputs(routed: Routed, family: str) -> Tensor:
    found: Tensor = routed.model(**inputs(family))[0]
    return found


def reparametrised(embedding: Any, first: Any, last: Any) -> list[list[float]]:
    """The MLP of one trained embedding per token, in loops."""
    weights = [(numbers(layer.weight), numbers(layer.bias)) for layer in (first, last)]
    rows = numbers(embedding.weight)
    hidden = [[math.tanh(value) for value in matvec(weights[0][0], row, weights[0][1])] for row in rows]
    return [matvec(weights[1][0], row, weights[1][1]) for row in hidden]


@pytest.mark.parametrize("hidden", [None, 5])
@pytest.mark.parametrize("family", ["bert", "roberta", "gpt2", "llama", "bart", "t5"])
def test_a_prompt_is_a_longer_input_of_the_frozen_model(family: str, hidden: int | None) -> None:
    routed = randomised(attach(tiny(family), config("prompt", hidden), unfreeze=()))
    (prompt,) = routed.bottlenecks.values()
    rows = numbers(prompt.embedding.weight)
    if hidden is not None:
        rows = reparametrised(prompt.embedding, prompt.mlp[0], prompt.mlp[2])
    frozen, given = tiny(family).double(), inputs(family)
    pair = frozen.config.is_encoder_decoder
    embed = (frozen.get_encoder() if pair else frozen).get_input_embeddings()
    text = embed(given.pop("input_ids"))
    longer = torch.cat([text.new_tensor(rows).expand(len(text), -1, -1), text], dim=1)
    mask = torch.ones(longer.shape[:2])
    mask[1, -2:] = 0
    given["attention_mask"] = mask
    expected = frozen(inputs_embeds=longer, **given)[0]
    routed.model.double()
    found = routed.model(**{**inputs(family), "attention_mask": mask[:, L:]})[0]
    torch.testing.assert_close(found, expected if pair else expected[:, L:], atol=1e-10, rtol=1e-10)


def attention_by_hand(
    queries: list[list[float]], keys: list[list[float]], values: list[list[float]], scores: Any
) -> list[list[float]]:
    """softmax(scores) · values of one head; `scores(i, j)` is None where query i does not see key j."""
    found = []
    for i, query in enumerate(queries):
        row = [scores(i, j, sum(a * b for a, b in zip(query, key, strict=True))) for j, key in enumerate(keys)]
        top = max(score for score in row if score is not None)
        weights = [0.0 if score is None else math.exp(score - top) for score in row]
        total = sum(weights)
        found.append([sum(w * v[d] for w, v in zip(weights, values, strict=True)) / total for d in range(len(query))])
    return found


BART = "model.decoder.layers.1"
ATTENTION = {
    "bert": ("encoder.layer.1.attention.self", ("query", "key", "value"), "encoder.layer.1.attention.output.dense"),
    "bart": (f"{BART}.self_attn", ("q_proj", "k_proj", "v_proj"), f"{BART}.self_attn.out_proj"),
    "t5": ("decoder.block.0.layer.0.SelfAttention", ("q", "k", "v"), "decoder.block.0.layer.0.SelfAttention.o"),
}


@pytest.mark.parametrize("implementation", ["eager", "sdpa"])
@pytest.mark.parametrize("hidden", [None, 5])
@pytest.mark.parametrize("family", ATTENTION)
def test_the_formula_of_a_prefix(family: str, hidden: int | None, implementation: str) -> None:
    model = tiny(family)
    model.set_attn_implementation(implementation)
    routed = randomised(attach(model, config("prefix", hidden), unfreeze=()))
    routed.model.double()
    name, projections, output = ATTENTION[family]
    attention, prefix = routed.model.get_submodule(name), routed.bottlenecks[name]
    seen: dict[str, Tensor] = {}
    for key, layer in zip("qkv", projections, strict=True):
        attention.get_submodule(layer).register_forward_hook(lambda m, i, o, key=key: seen.update({key: o.detach()}))
    routed.model.get_submodule(output).register_forward_pre_hook(lambda m, i: seen.update(out=i[0].detach()))
    with torch.no_grad():
        routed.model(**inputs(family))
    rows = numbers(prefix.prefix) if hidden is None else reparametrised(prefix.embedding, prefix.first, prefix.last)
    heads, width = 3, WIDTH // 3
    bias = attention.compute_bias(6, 6)[0].detach() if family == "t5" else None
    for example in range(2):
        for head in range(heads):
            part = slice(head * width, (head + 1) * width)
            q, k, v = (numbers(seen[key][example, :, part]) for key in "qkv")
            added = [row[part] for row in rows], [row[WIDTH:][part] for row in rows]

            def score(i: int, j: int, product: float, head: int = head) -> float | None:
                if family != "bert" and j - L > i:
                    return None
                if bias is None:
                    return product / math.sqrt(width)
                return product + (float(bias[head, i, j - L]) if j >= L else 0.0)

            expected = attention_by_hand(q, added[0] + k, added[1] + v, score)
            torch.testing.assert_close(
                seen["out"][example, :, part], torch.tensor(expected, dtype=torch.float64), atol=1e-10, rtol=1e-10
            )


PEFT_TASKS = {"bert": "FEATURE_EXTRACTION", "gpt2": "CAUSAL_LM", "llama": "CAUSAL_LM", "bart": "SEQ_2_SEQ_LM"}


@pytest.mark.parametrize("family", PEFT_TASKS)
def test_a_prompt_against_peft(family: str) -> None:
    theirs = peft.get_peft_model(
        tiny(family),
        peft.PromptTuningConfig(task_type=PEFT_TASKS[family], num_virtual_tokens=L, num_transformer_submodules=1),
    ).eval()
    routed = randomised(attach(tiny(family), config("prompt"), unfreeze=()))
    (prompt,) = routed.bottlenecks.values()
    theirs.prompt_encoder["default"].embedding.weight.data.copy_(prompt.embedding.weight)
    given = inputs(family)
    given["attention_mask"] = torch.ones_like(given["input_ids"])
    expected, found = theirs(**given)[0], routed.model(**given)[0]
    expected = expected if family == "bart" else expected[:, L:]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(found, tiny(family)(**given)[0], atol=1e-3)
    for each in (found, expected):
        each.pow(2).mean().backward()
    theirs_grad = theirs.prompt_encoder["default"].embedding.weight.grad
    torch.testing.assert_close(prompt.embedding.weight.grad, theirs_grad, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("hidden", [None, 5])
@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_a_prefix_against_peft(family: str, hidden: int | None) -> None:
    """peft's prefix takes the first positions, so the text's begin after it."""
    theirs = peft.get_peft_model(
        tiny(family),
        peft.PrefixTuningConfig(
            task_type="CAUSAL_LM",
            num_virtual_tokens=L,
            prefix_projection=hidden is not None,
            encoder_hidden_size=hidden,
        ),
    ).eval()
    routed = randomised(attach(tiny(family), config("prefix", hidden), unfreeze=()))
    encoder = theirs.prompt_encoder["default"]
    bottlenecks = list(routed.bottlenecks.values())
    with torch.no_grad():
        if hidden is None:
            encoder.embedding.weight.copy_(torch.cat([b.prefix for b in bottlenecks], dim=1))
        else:
            encoder.embedding.weight.copy_(bottlenecks[0].embedding.weight)
            encoder.transform[0].load_state_dict(bottlenecks[1].first.state_dict())
            encoder.transform[2].weight.copy_(torch.cat([b.last.weight for b in bottlenecks]))
            encoder.transform[2].bias.copy_(torch.cat([b.last.bias for b in bottlenecks]))
    given = inputs(family)
    positions = torch.arange(L, L + 6).expand(3, -1)
    expected, found = theirs(**given)[0], routed.model(**given, position_ids=positions)[0]
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(found, tiny(family)(**given, position_ids=positions)[0], atol=1e-3)


@pytest.mark.parametrize("kind", ["prompt", "prefix"])
@pytest.mark.parametrize("family", GENERATING)
def test_generation_with_a_cache_with_beams_and_one_by_one(family: str, kind: str) -> None:
    routed = randomised(attach(tiny(family), config(kind), unfreeze=()))
    ids = inputs(family)["input_ids"]
    mask = torch.ones_like(ids)
    real = slice(0, 3) if routed.model.config.is_encoder_decoder else slice(3, 6)  # encoders count what stands before
    mask[1] = 0
    mask[1, real] = 1

    def generate(model: Any, rows: Tensor = ids, real: Tensor = mask, **options: Any) -> tuple[Tensor, Tensor]:
        length = {"max_new_tokens": 5, "min_new_tokens": 5, "do_sample": False}
        keep = {"return_dict_in_generate": True, "output_logits": True}
        made = model.generate(input_ids=rows, attention_mask=real, **length, **keep, **options)
        return made.sequences[:, -5:], torch.stack(made.logits, dim=1)

    texts, logits = generate(routed.model)
    again, without_cache = generate(routed.model, use_cache=False)
    assert torch.equal(texts, again)
    torch.testing.assert_close(logits, without_cache, atol=1e-5, rtol=1e-5)
    assert torch.equal(generate(routed.model, num_beams=3)[0], generate(routed.model, num_beams=3, use_cache=False)[0])
    assert not torch.allclose(logits, generate(tiny(family))[1], atol=1e-3)
    for row, part in ((0, slice(0, 6)), (1, real)):
        alone = generate(routed.model, ids[row : row + 1, part], mask[row : row + 1, part])[1]
        torch.testing.assert_close(alone[0], logits[row], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("family", GENERATING)
def test_text_after_a_prompt_is_what_the_frozen_model_generates_from_a_longer_input(family: str) -> None:
    routed = randomised(attach(tiny(family), config("prompt"), unfreeze=()))
    (prompt,) = routed.bottlenecks.values()
    frozen, ids = tiny(family), inputs(family)["input_ids"]
    pair = frozen.config.is_encoder_decoder
    text = (frozen.get_encoder() if pair else frozen).get_input_embeddings()(ids)
    mask = torch.ones_like(ids)
    mask[1, slice(4, 6) if pair else slice(0, 2)] = 0
    longer = torch.cat([prompt().detach().expand(len(ids), -1, -1), text], dim=1)
    longer_mask = torch.cat([mask.new_ones(len(ids), L), mask], dim=1)
    options = {"max_new_tokens": 5, "min_new_tokens": 5, "do_sample": False}
    keep = {"return_dict_in_generate": True, "output_logits": True}
    expected = frozen.generate(inputs_embeds=longer, attention_mask=longer_mask, **options, **keep).logits
    for given in ({"input_ids": ids}, {"inputs_embeds": text}):
        found = routed.model.generate(**given, attention_mask=mask, **options, **keep).logits
        torch.testing.assert_close(torch.stack(found), torch.stack(expected), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", ["prompt", "prefix"])
@pytest.mark.parametrize("family", FAMILIES)
def test_saved_copied_detached_and_in_threads(family: str, kind: str, tmp_path: Path) -> None:
    model = tiny(family)
    twin = type(model)(model.config).eval()  # the same configuration object
    configs = [module.config for module in model.modules() if hasattr(module, "config")]
    before, of_twin = model(**inputs(family))[0], twin(**inputs(family))[0]
    routed = randomised(attach(model, config(kind, 5), unfreeze=()))
    expected = outputs(routed, family)
    assert expected.shape == before.shape and not torch.allclose(expected, before, atol=1e-3)
    assert torch.equal(twin(**inputs(family))[0], of_twin)
    copied = copy.deepcopy(routed)
    routed.save(tmp_path)
    assert torch.equal(outputs(load(tmp_path, tiny(family)), family), expected)
    found: list[Tensor] = []
    threads = [threading.Thread(target=lambda: found.append(outputs(copied, family))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 4 and all(torch.equal(each, expected) for each in found)
    routed.detach()
    assert torch.equal(model(**inputs(family))[0], before)
    assert torch.equal(outputs(copied, family), expected)
    assert not model._forward_pre_hooks
    assert all(getattr(module, "config", model.config) in configs for module in model.modules())
    with pytest.raises(ValueError, match="cannot be merged"):
        copied.merge()


def test_what_a_model_returns_beside_its_states_has_the_texts_positions() -> None:
    model = tiny("bert")
    model.set_attn_implementation("eager")
    routed = randomised(attach(model, config("prompt"), unfreeze=()))
    given = inputs("bert")
    out = routed.model(**given, output_hidden_states=True, output_attentions=True)
    assert [state.shape for state in out.hidden_states] == [(3, 6, WIDTH)] * 3
    assert [rows.shape for rows in out.attentions] == [(3, 3, 6, 6 + L)] * 2
    torch.testing.assert_close(out.pooler_output, routed.model.pooler(nn.functional.pad(out[0], (0, 0, L, 0))))
    states, pooled = routed.model(**given, return_dict=False)
    assert torch.equal(states, out[0]) and torch.equal(pooled, out.pooler_output)
    assert torch.equal(routed.model(given["input_ids"], given["attention_mask"])[0], states)
    marked = routed.model(**given, token_type_ids=torch.zeros_like(given["input_ids"]))
    assert torch.equal(marked[0], states)


def test_a_prompt_beside_a_routed_bottleneck_leaves_the_codes_of_positions_right() -> None:
    both = {"prompt": config("prompt"), "lora": BottleneckConfig("lora", rank=2, routing="mul")}
    routed = attach(tiny("bert"), both)
    codes = torch.tensor([[IMAGE, TEXT, TEXT, TEXT, TEXT, TEXT]] * 3)
    with routed.look_at(images(), modality=codes) as context:
        routed.model(**inputs("bert"))
        found = context.modality_for(3, L + 6)
        assert found is not None and found.tolist() == [[TEXT] * L + row for row in codes.tolist()]
        assert torch.equal(context.modality_for(3, 6), codes)  # type: ignore[arg-type]


def test_targets_of_a_prefix_and_what_both_refuse() -> None:
    own = attach(tiny("bart"), config("prefix", targets=["self_attn"]))
    assert len(own.bottlenecks) == 4
    own.detach()
    assert len(attach(tiny("bart"), config("prefix")).bottlenecks) == 6
    with pytest.raises(ValueError, match=r"prompt cannot route: trained tokens have no two projections"):
        attach(tiny("bert"), config("prompt", routing="mul"))
    with pytest.raises(ValueError, match=r"prefix cannot route: trained keys have no two projections"):
        attach(tiny("bert"), config("prefix", routing="mul"))
    with pytest.raises(ValueError, match="targets: a prompt stands before the model's input"):
        attach(tiny("bert"), config("prompt", targets=["query"]))
    routed = attach(tiny("gpt2"), config("prompt"))
    with pytest.raises(ValueError, match="extends an attention mask"):
        routed.model(input_ids=torch.tensor([[5, 6]]), attention_mask=torch.ones(1, 1, 2, 2))
