"""The joint model that an experiment gets by default, and what it cannot go with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from vlrouting.config import ExperimentConfig, LanguageConfig, LoraConfig, ModelConfig
from vlrouting.config.problem import Problem


def folder(path: Path, **config: object) -> str:
    path.mkdir(parents=True)
    (path / "config.json").write_text(json.dumps(config))
    return str(path)


def experiment(name: str, task: str = "captioning", architecture: str | None = None) -> ExperimentConfig:
    return ExperimentConfig(task=task, language=LanguageConfig(name), model=ModelConfig(architecture=architecture))


def of_language(config: ExperimentConfig) -> list[Problem]:
    return [problem for problem in config.problems() if "language.name" in problem.keys]


def test_the_task_and_the_language_models_own_file_decide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pair, single = folder(tmp_path / "pair", is_encoder_decoder=True), folder(tmp_path / "single", model_type="gpt2")
    old = folder(tmp_path / "old", model_type="t5")
    assert experiment(pair).architecture == "encoder_decoder" == experiment(old).architecture
    assert experiment(single).architecture == "decoder" == experiment(str(tmp_path / "gone")).architecture
    assert experiment(pair, "vqa_generation", "decoder").architecture == "decoder"
    assert experiment(single, "vqa_classification").architecture == "encoder_classifier"
    assert experiment("package:vlrouting/backbones/mini/gpt2_shapes").architecture == "decoder"
    (tmp_path / "old" / "config.json").write_text("{")  # loading it says so
    assert experiment(old).architecture == "decoder"


def test_a_hub_id_is_known_once_it_is_in_the_local_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    assert experiment("tiny/bart").architecture == "decoder"
    repository = tmp_path / "hub" / "models--tiny--bart"
    folder(repository / "snapshots" / "abc", is_encoder_decoder=True)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text("abc")
    assert experiment("tiny/bart").architecture == "encoder_decoder"
    pinned = ExperimentConfig(task="captioning", language=LanguageConfig("tiny/bart", revision="abc"))
    assert pinned.architecture == "encoder_decoder"
    assert pinned.with_architecture().model.architecture == "encoder_decoder"


def test_a_language_model_of_another_kind_is_a_problem(tmp_path: Path) -> None:
    pair, single = folder(tmp_path / "pair", is_encoder_decoder=True), folder(tmp_path / "single", model_type="gpt2")
    assert not of_language(experiment(pair)) and not of_language(experiment(single))
    assert of_language(experiment(pair, architecture="decoder"))[0].keys == ("language.name", "model.architecture")
    assert of_language(experiment(single, architecture="encoder_decoder"))
    assert of_language(experiment(pair, "vqa_classification"))[0].keys == ("language.name", "task")


def test_without_a_prefix_something_in_the_language_model_has_to_see_the_image() -> None:
    def refused(routing: str, visual_input: str, tower: str = "language") -> bool:
        bottleneck = LoraConfig("lora", routing=routing, tower=tower)
        model = ModelConfig(visual_prefix=False, visual_input=visual_input)
        found = ExperimentConfig(model=model, bottleneck=bottleneck).problems()
        return any("model.visual_prefix" in problem.keys for problem in found)

    assert refused("none", "image") and refused("none", "ones") and refused("none", "image", "vision")
    assert not refused("mul", "image") and not refused("none", "none")
