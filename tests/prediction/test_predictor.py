"""`vlrouting.Predictor`: what it answers, what it takes, what it refuses."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import vlrouting
from tests.trained_artifacts import captions, copy_with, pairs, picture, questions  # noqa: F401
from vlrouting import Predictor
from vlrouting.data.example import DataError
from vlrouting.experiment import UserError


def records(run: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in (run / "predictions.jsonl").read_text().splitlines()]


def test_answers_like_the_test_one_by_one_and_in_batches(questions: Path) -> None:  # noqa: F811
    run = questions / "runs" / "tiny" / "routing=mul"
    predictor, found = Predictor(run), records(run)[:20]
    images, asked = [record["image"] for record in found], [record["question"] for record in found]
    together = predictor.answer(images, asked, top=2)  # batches of 16
    assert [answer.text for answer in together] == [record["prediction"] for record in found]
    alone = predictor.answer(images[0], asked[0], top=2)
    assert str(alone) == alone.text == together[0].text and len(alone.ranked) == 2
    assert alone.probability == pytest.approx(together[0].probability, abs=1e-5)
    assert alone.tokens == 7 and alone.tokens_cut == 0  # what color is it ? and two special tokens
    with Image.open(images[0]) as opened:
        assert predictor.answer(opened, asked[0]).text == alone.text
    assert predictor.answer([Path(images[0])], asked[0]).text == alone.text
    for part in ("routing=mul", "vqa_classification", "lora/mul", "cpu" if not torch.cuda.is_available() else "cuda"):
        assert part in repr(predictor)


def test_captions_like_the_test(captions: Path) -> None:  # noqa: F811
    run = captions / "runs" / "tiny" / "default"
    predictor, found = Predictor(run, device="cpu"), records(run)
    images = [record["image"] for record in found]
    assert predictor.caption(images) == [record["prediction"] for record in found]
    assert predictor.caption(images[0]) == found[0]["prediction"]
    with pytest.raises(UserError, match="vlrouting caption"):
        predictor.answer(images[0], "what?")


def test_an_opened_image_is_what_a_file_is(questions: Path, tmp_path: Path) -> None:  # noqa: F811
    predictor = Predictor(questions / "runs" / "tiny" / "routing=mul")
    pixels = np.zeros((8, 16, 4), np.uint8)
    pixels[:, 8:] = (255, 0, 0, 128)  # half transparent, so on white it is pink
    Image.fromarray(pixels).save(tmp_path / "half.png")
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.fromarray(pixels[..., :3]).save(tmp_path / "turned.jpg", exif=turned)
    for file in ("half.png", "turned.jpg"):
        with Image.open(tmp_path / file) as opened:
            assert predictor.answer(opened, "what?").ranked == predictor.answer(tmp_path / file, "what?").ranked


def test_a_pair_is_ordered_and_nothing_else_is_taken(pairs: Path, questions: Path) -> None:  # noqa: F811
    run = pairs / "runs" / "pairs" / "default"
    predictor, found = Predictor(run), records(run)[:4]
    several = [record["images"] for record in found]
    asked = [record["question"] for record in found]
    said = [answer.text for answer in predictor.answer(several, asked)]  # type: ignore[arg-type]
    assert said == [record["prediction"] for record in found]
    for images in (several[0][0], [several[0][0]], [several[0][0]] * 3):
        with pytest.raises(UserError, match="trained on two images"):
            predictor.answer(images, "is it?")
    one = Predictor(questions / "runs" / "tiny" / "routing=mul")
    with pytest.raises(UserError, match="trained on one image per example, and two images were given"):
        one.answer(several[0], "is it?")


def test_an_artifact_that_does_not_say_its_images_is_counted(pairs: Path, tmp_path: Path) -> None:  # noqa: F811
    """Artifacts of earlier versions."""
    older = copy_with(pairs / "runs" / "pairs" / "default" / "artifact", tmp_path / "older")
    stored = json.loads((older / "adapter_config.json").read_text())
    assert stored.pop("images") == 2
    (older / "adapter_config.json").write_text(json.dumps(stored))
    predictor = Predictor(older)
    assert predictor.images == 2
    with pytest.raises(UserError, match="trained on two images"):
        predictor.answer(Image.new("RGB", (8, 8)), "is it?")


def test_a_question_that_is_cut_is_never_silent(questions: Path) -> None:  # noqa: F811
    predictor, image = Predictor(questions / "runs" / "tiny" / "routing=mul"), Image.new("RGB", (8, 8))
    with pytest.warns(UserWarning, match=r"10,002 tokens, and the model read the first 19 \(data\.max_text_tokens"):
        answer = predictor.answer(image, "red " * 10_000)
    assert (answer.tokens, answer.tokens_cut) == (19, 9_983)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert predictor.answer(image, " ".join(["red"] * 17)).tokens == 19


@pytest.mark.parametrize(
    ("question", "fact"),
    [
        ("", "is empty"),
        (" \n\t", "is empty"),
        ("a\ud800b", r"surrogate.*\\ud800.*position 1"),
        ("a\0b", "NUL.*position 1"),
    ],
)
def test_a_question_that_is_no_question(questions: Path, question: str, fact: str) -> None:  # noqa: F811
    predictor = Predictor(questions / "runs" / "tiny" / "routing=mul")
    with pytest.raises(UserError, match=fact):
        predictor.answer(Image.new("RGB", (8, 8)), question)


def test_other_arguments_that_make_no_sense(questions: Path) -> None:  # noqa: F811
    run, image = questions / "runs" / "tiny" / "routing=mul", Image.new("RGB", (8, 8))
    predictor = Predictor(run)
    with pytest.raises(UserError, match="1 image and 2 questions"):
        predictor.answer([image], ["a?", "b?"])
    with pytest.raises(UserError, match="not ndarray"):
        predictor.answer([np.zeros((8, 8, 3))], "a?")  # type: ignore[list-item]
    with pytest.raises(DataError, match=re.escape("nowhere.png: there is no such image")):
        predictor.answer(picture(questions).parent / "nowhere.png", "a?")
    with pytest.raises(UserError, match="no device 'cuda:77'"):
        Predictor(run, device="cuda:77")


def test_noise_and_the_callers_randomness_repeat(questions: Path, tmp_path: Path) -> None:  # noqa: F811
    """A model on noise (an ablation) answers alike each time, and draws nothing from the caller's generator."""
    artifact = questions / "runs" / "tiny" / "routing=mul" / "artifact"
    model = json.loads((artifact / "adapter_config.json").read_text())["experiment"]["model"]
    noisy = Predictor(copy_with(artifact, tmp_path / "noisy", model={**model, "visual_input": "noise"}))
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first = noisy.answer(Image.new("RGB", (8, 8)), "what?")
    assert torch.equal(torch.rand(1), expected)
    assert noisy.answer(Image.new("RGB", (8, 8)), "what?").ranked == first.ranked


def test_importing_the_package_and_naming_the_class_is_light() -> None:
    code = "import sys, vlrouting; assert 'Predictor' in dir(vlrouting); assert 'torch' not in sys.modules"
    code += (
        "; vlrouting.Predictor; heavy = {'lightning', 'torchmetrics', 'tensorboard', 'matplotlib'} & set(sys.modules)"
    )
    code += "; assert not heavy, heavy"
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0


def test_a_missing_attribute_of_the_package_is_one() -> None:
    with pytest.raises(AttributeError, match="Predictorr"):
        vlrouting.Predictorr  # noqa: B018
