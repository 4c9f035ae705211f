"""The experiment that `vlrouting init` writes is valid as it stands, and with everything that its comments offer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.starter.alternatives import alternatives
from tests.starter.folders import write_captions, write_questions, write_table
from vlrouting.experiment import Experiment, load
from vlrouting.starter.plan import Wishes
from vlrouting.starter.start import start
from vlrouting.training.user_errors import missing_files_of


def write_pairs(root: Path) -> None:
    rows = [[f"{n}-left.png|{n}-right.png", "Are both red?", ("yes", "no")[n % 2]] for n in range(40)]
    write_table(root, ["images", "question", "answer"], rows)


def write_given_splits(root: Path) -> None:
    rows = [[f"{n}.png", "What is it?", "a cup", ("train", "test")[n % 2]] for n in range(8)]
    write_table(root, ["image", "question", "answer", "split"], rows)


KINDS: dict[str, tuple[Callable[[Path], None], Wishes]] = {
    "classification": (write_questions, Wishes()),
    "generation": (write_questions, Wishes(task="vqa_generation")),
    "captioning": (write_captions, Wishes()),
    "pairs": (write_pairs, Wishes()),
    "no validation split": (write_given_splits, Wishes()),
    "models of a hub": (write_questions, Wishes(language="roberta-base", vision="vit_base_patch16_224.orig_in21k")),
    "captions by a model of a hub": (write_captions, Wishes(language="gpt2")),
    "answers by a model of a hub": (write_questions, Wishes(task="vqa_generation", language="gpt2")),
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def written(here: Path, kind: str) -> str:
    write, wishes = KINDS[kind]
    write(here / "mine")
    start(Path("mine"), wishes)
    return (here / "experiments" / "mine.yaml").read_text(encoding="utf-8")


def checked(text: str) -> Experiment:
    Path("experiments/mine.yaml").write_text(text, encoding="utf-8")
    return load("mine", check_files=missing_files_of)


@pytest.mark.parametrize("kind", KINDS)
def test_the_experiment_is_valid_with_each_of_its_alternatives(here: Path, kind: str) -> None:
    text = written(here, kind)
    assert max(map(len, text.splitlines())) <= 130
    plain = checked(text)
    assert [point.name for point in plain.points] == ["routing=none", "routing=mul", "text_only"]
    offered = dict(alternatives(text))
    assert len(offered) >= 15
    for setting, changed in offered.items():
        different = checked(changed)
        assert different.points != plain.points or different.trials, setting


def test_settings_of_the_tasks(here: Path) -> None:
    def config(kind: str) -> dict:  # type: ignore[type-arg]
        (here / "experiments" / "mine.yaml").unlink(missing_ok=True)
        read: dict = yaml.safe_load(written(here, kind))  # type: ignore[type-arg]
        return read

    choosing = config("classification")
    assert choosing["task"] == "vqa_classification" and choosing["bottleneck"]["kind"] == "lora"
    assert "generate" not in choosing and choosing["data"]["max_text_tokens"] >= 10
    answering = config("generation")
    assert answering["task"] == "vqa_generation" and "{text}" in answering["data"]["prompt"]
    assert answering["data"]["max_target_tokens"] == answering["generate"]["max_new_tokens"]
    positions = 1 + answering["data"]["max_text_tokens"] + answering["generate"]["max_new_tokens"]
    assert positions <= 64  # of the built-in GPT-2
    assert "prompt" not in config("captioning")["data"]
    hub = config("models of a hub")
    assert hub["language"] == {"name": "roberta-base"} and hub["vision"] == {"name": "vit_base_patch16_224.orig_in21k"}


@pytest.mark.parametrize("images", [1, 2])
@pytest.mark.parametrize("task", ["vqa_generation", "captioning"])
def test_what_the_built_in_model_cannot_hold_is_cut_and_said(here: Path, task: str, images: int) -> None:
    long = "word " * 40
    names = ["|".join(f"{n}-{k}.png" for k in range(images)) for n in range(40)]
    write_table(
        here / "mine", ["images", "question", "answer", "caption"], [[name, long, long, long] for name in names]
    )
    said = "\n".join(start(Path("mine"), Wishes(task=task)))
    written = yaml.safe_load((here / "experiments" / "mine.yaml").read_text())
    text, generated = written["data"].get("max_text_tokens", 1), written["generate"]["max_new_tokens"]
    assert images + text + generated <= 64 and generated >= 16
    assert ("captions are cut" if task == "captioning" else "questions and answers are cut") in said
    assert "cut" not in "\n".join(start(Path("mine"), Wishes(task=task, language="gpt2"), force=True))
