"""`CaptionScore`, the metric of the captioning task."""

from dataclasses import dataclass
from typing import Any

import pytest

from vlrouting.config import EvaluateConfig
from vlrouting.metrics.caption_score import CaptionScore
from vlrouting.metrics.caption_scores import score


@dataclass(frozen=True)
class Captioned:
    id: int
    answers: tuple[str, ...]


EXAMPLES = [Captioned(1, ("a cat sits", "one cat")), Captioned(2, ("two dogs run", "dogs")), Captioned(3, ("a bird",))]
SAID = ["a cat sits", "a dog runs", "a bird sings"]


@pytest.mark.parametrize("spice", [False, True])
def test_scores_are_multiplied_by_100_and_missing_spice_is_listed(spice: bool) -> None:
    scored = CaptionScore(EXAMPLES, EvaluateConfig(spice=spice))
    predictions = {example.id: text for example, text in zip(EXAMPLES, SAID, strict=True)}
    scores = scored.compute(predictions)
    expected = score(predictions, {example.id: list(example.answers) for example in EXAMPLES})
    assert scores.values == {name: 100 * value for name, value in expected.corpus.items()}
    assert scores.per_example["CIDEr"] == {image: 100 * v["CIDEr"] for image, v in expected.per_image.items()}
    assert ("SPICE" in scored.titles(scores)) == spice
    assert ("SPICE" in {*scores.values, *scores.not_computed}) == spice
    assert scored.main in scores.values and scored.main in scored.titles(scores)


@pytest.mark.parametrize(
    ("references", "message"),
    [((), "no caption to score"), ((("a",), ()), r"\(2\)"), (("a",), r"no list of strings: 1 \(1\)")],
)
def test_bad_references_are_refused_at_once(references: Any, message: str) -> None:
    examples = [Captioned(number, texts) for number, texts in enumerate(references, start=1)]
    with pytest.raises(ValueError, match=message):
        CaptionScore(examples, EvaluateConfig())


def test_a_results_file_with_other_images_is_rejected(tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("results") / "captions_results.json"
    with pytest.raises(ValueError, match=r"captions_results\.json: predictions do not fit .*missing"):
        CaptionScore(EXAMPLES, EvaluateConfig()).write_results(file, {1: "a cat", 2: "a dog"})
    assert not file.exists()
