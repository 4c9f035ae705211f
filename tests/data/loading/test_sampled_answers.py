"""Answers are drawn in proportion to their soft scores, alike wherever and whenever they are drawn."""

from __future__ import annotations

import pickle
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import chisquare

from tests.tiny_backbones import byte_tokenizer
from vlrouting.config import DataConfig
from vlrouting.data.datasets.stored_examples import StoredExamples, pack
from vlrouting.data.datasets.with_answer import with_answer
from vlrouting.data.example import Example
from vlrouting.data.loading.batch import IGNORED
from vlrouting.data.loading.round_robin import RoundRobinSampler
from vlrouting.data.loading.sampled_answers import SampledAnswers
from vlrouting.data.loading.source import DatasetSource
from vlrouting.data.loading.text_batch import TextCollate

SCORES = {"red": 1.0, "dark red": 0.6, "maroon": 0.4, "blue": 0.0, "": 0.9}
RIGHT = {"red": 1.0, "dark red": 0.6, "maroon": 0.4}


def asked(labels: dict[str, float], answer: str, number: int = 0) -> Example:
    image = (Path("a.png"),)
    return Example(number, image, f"what color is it {'? ' * (number % 3)}", labels, answers=("x",) * 10, answer=answer)


def examples(count: int) -> list[Example]:
    """Every second one with one right answer, whose spelling is the most common answer's; the last without any."""
    several = [
        asked(SCORES, "red", number) if number % 2 else asked({"two": 1.0, "three": 0.0}, "Two", number)
        for number in range(count)
    ]
    return [*several, asked({}, "", count)]


@pytest.fixture(params=["list", "stored"])
def questions(request: pytest.FixtureRequest) -> Sequence[Example]:
    """Those with an answer, as training has them."""
    whole = examples(4000)
    stored = StoredExamples(pack(whole, Path(".")), Path(".")) if request.param == "stored" else whole
    return with_answer(stored)


def test_answers_follow_the_soft_scores(questions: Sequence[Example]) -> None:
    sampled = SampledAnswers(questions, seed=3)
    drawn = [sampled.example(index, epoch) for epoch in range(2) for index in range(1, 4000, 2)]
    counts = Counter(example.answer for example in drawn)
    assert counts.keys() == RIGHT.keys()
    expected = [len(drawn) * score / sum(RIGHT.values()) for score in RIGHT.values()]
    assert chisquare([counts[answer] for answer in RIGHT], expected).pvalue > 0.01
    assert {sampled.example(index, 0).answer for index in range(0, 4000, 2)} == {"Two"}
    # One question over many epochs, too.
    of_one = Counter(sampled.candidates.answer(int(sampled.drawn(epoch)[7])) for epoch in range(400))
    assert chisquare([of_one[answer] for answer in RIGHT], [400 * s / 2 for s in RIGHT.values()]).pvalue > 0.01


def test_a_draw_is_a_function_of_seed_epoch_and_example(questions: Sequence[Example]) -> None:
    sampled, again = SampledAnswers(questions, 3), pickle.loads(pickle.dumps(SampledAnswers(list(questions), 3)))
    last = again.drawn(5)  # in another order, as a resumed run or another process asks
    assert [np.array_equal(sampled.drawn(epoch), again.drawn(epoch)) for epoch in (0, 5, 1)] == [True] * 3
    assert np.array_equal(last, sampled.drawn(5))
    other = SampledAnswers(questions, 4)
    for one, two in ((sampled.drawn(0), sampled.drawn(1)), (sampled.drawn(0), other.drawn(0))):
        assert 0.2 < float(np.mean(one != two)) < 0.4  # half of the questions have one answer
    for index in (0, 1, 2, 3999):
        asked = questions[index]
        assert sampled.example(index, 2) == Example(
            asked.id, asked.images, asked.text, asked.labels, asked.answers, answer=sampled.example(index, 2).answer
        )


@pytest.mark.parametrize("ranks", [1, 2])
def test_the_loss_counts_the_tokens_of_the_drawn_answers_on_every_rank(ranks: int) -> None:
    data = DataConfig(prompt="{text}")
    collate = TextCollate(byte_tokenizer(), data, prefixed=True, targets=True)
    questions = with_answer(examples(40))
    sampled = SampledAnswers(questions, 3)
    source = DatasetSource("vqa", 8, collate, collate, questions, None, questions, sampled)
    given = []
    for rank in range(ranks):
        batches = {"vqa": source.batches(0, rank=rank, world_size=ranks, accumulate=2)}
        tokens = {"vqa": source.target_tokens()}
        sampler = RoundRobinSampler(batches, 20, turn=2, target_tokens=tokens)
        given.append([source.training_batch(chosen) for chosen in sampler])
    lengths = set()
    for step in range(0, 20, 2):
        parts = [batch for of_rank in given for batch in of_rank[step : step + 2]]
        labels = sum(int((batch["labels"] != IGNORED).sum()) for batch in parts)
        assert {batch.loss_tokens for batch in parts} == {labels / (2 * ranks)}
        lengths.add(labels)
        assert {batch.dataset for batch in parts} == {"vqa"}
    assert len(lengths) > 1
