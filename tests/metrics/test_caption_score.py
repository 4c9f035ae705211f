"""`CaptionScore`, the metric of the captioning task."""

from dataclasses import dataclass

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
    scored.update(SAID[:2], EXAMPLES[:2])
    scored.update(SAID[2:], EXAMPLES[2:])
    computed = scored.compute()
    expected = score(
        {example.id: text for example, text in zip(EXAMPLES, SAID, strict=True)},
        {example.id: list(example.answers) for example in EXAMPLES},
    )
    assert computed == {name: 100 * value for name, value in expected.corpus.items()}
    assert ("SPICE" in scored.titles()) == spice
    assert ("SPICE" in {*computed, *scored.not_computed()}) == spice
    assert scored.main in computed and scored.main in scored.titles()


def test_a_results_file_with_other_images_is_rejected(tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("results") / "captions_results.json"
    with pytest.raises(ValueError, match=r"captions_results\.json: predictions do not fit .*missing"):
        CaptionScore(EXAMPLES, EvaluateConfig()).write_results(file, {1: "a cat", 2: "a dog"})
    assert not file.exists()
