"""The values of examples, and the sums that corpus scores are made of."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocoevalcap.bleu.bleu import Bleu

from tests.metrics.test_gqa_evaluation import CHOICES, PREDICTIONS, QUESTIONS
from tests.metrics.test_gqa_score import Split
from tests.metrics.test_nlvr2_score import EXAMPLES
from tests.metrics.test_nlvr2_score import PREDICTIONS as SAID
from vlrouting.config import EvaluateConfig
from vlrouting.metrics.caption_scores import _bleu
from vlrouting.metrics.gqa_score import GQAScore
from vlrouting.metrics.nlvr2_score import NLVR2Score
from vlrouting.metrics.per_example import scored, statistic, values
from vlrouting.metrics.score import Scores

TEXTS = st.lists(st.sampled_from(["a", "cat", "sat", "on", "mat"]), max_size=7).map(" ".join)


def records_of(scores: Scores, main: str) -> list[dict[str, object]]:
    ids = sorted({identity for of in scores.per_example.values() for identity in of}, key=str)
    found: list[dict[str, object]] = []
    for identity in ids:
        numbers = {name: of[identity] for name, of in scores.per_example.items() if identity in of}
        found.append({"id": identity, "score": numbers[main], "scores": numbers})
    return found


def test_a_record_gives_a_number_or_summands_by_the_name_in_metrics_json() -> None:
    records = [
        {"score": 30.0, "scores": {"a": 30.0, "Bleu": [1, 2], "consistency": [1, 1]}},
        {"score": 50.0, "scores": {"a": 50.0, "Bleu": [3, 4]}},
    ]
    for name in ("a", "test/a", "validation/a"):
        assert values(records, name) == pytest.approx(np.array([30.0, 50.0]))
    assert values(records, "test/Bleu_3") == pytest.approx(np.array([[1.0, 2.0], [3.0, 4.0]]))
    assert values(records, "consistency") == pytest.approx(np.array([[1.0, 1.0], [0.0, 0.0]]))  # it adds nothing
    assert values(records, "b") is None and statistic("test/a") is None
    assert scored([*records, {"id": 1}]) == records and values([{"id": 1}], "a") is None


@settings(derandomize=True, max_examples=40, deadline=None)
@given(st.lists(st.tuples(TEXTS, st.lists(TEXTS, min_size=1, max_size=3)), min_size=1, max_size=6))
def test_bleu_of_summed_counts_is_that_of_pycocoevalcap(captions: list[tuple[str, list[str]]]) -> None:
    hypotheses = {image: [said] for image, (said, _) in enumerate(captions)}
    references = {image: texts for image, (_, texts) in enumerate(captions)}
    corpus, images = Bleu(4).compute_score(references, hypotheses, verbose=0)
    counts = np.array(_bleu(references, hypotheses).summands["Bleu"], dtype=float)
    assert counts.shape == (len(captions), 10)
    stacked = np.stack([counts, counts[::-1]])  # (2, N, 10): any leading axes
    for order in (1, 2, 3, 4):
        score = statistic(f"Bleu_{order}")
        assert score is not None
        assert score(stacked.sum(1)) == pytest.approx([100 * corpus[order - 1]] * 2, rel=1e-12, abs=1e-300)
        assert score(counts) == pytest.approx(100 * np.array(images[order - 1]), rel=1e-12, abs=1e-300)


def test_the_sums_of_gqa_and_nlvr2_give_the_numbers_of_the_split() -> None:
    for scores, names in (
        (GQAScore(Split(QUESTIONS, CHOICES), EvaluateConfig()).compute(PREDICTIONS), ("open", "binary", "consistency")),
        (NLVR2Score(EXAMPLES, EvaluateConfig()).compute(SAID), ("consistency",)),
    ):
        records = records_of(scores, "accuracy")
        assert values(records, "accuracy").mean() == pytest.approx(scores.values["accuracy"])  # type: ignore[union-attr]
        for name in names:
            ratio, summands = statistic(name), values(records, name)
            assert ratio is not None and summands is not None and summands.shape == (len(records), 2)
            assert ratio(summands.sum(0)) == pytest.approx(scores.values[name])


def test_the_pairs_of_a_statement_add_one_statement_in_any_order() -> None:
    one = NLVR2Score(EXAMPLES, EvaluateConfig()).compute(SAID).per_example["consistency"]
    other = NLVR2Score(EXAMPLES[::-1], EvaluateConfig()).compute(SAID).per_example["consistency"]
    assert one == other and len(one) == 4 and sum(count for _, count in one.values()) == 4  # type: ignore[misc]
