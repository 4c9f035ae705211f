"""VQA accuracy for any number of reference answers.

The measure of Antol et al. (ICCV 2015, https://arxiv.org/abs/1505.00468) takes ten answers: min(1, matches / 3),
averaged over the ten ways to leave one answer out. Here it takes n: min(1, matches / min(3, n - 1)), averaged over the
n ways. With ten answers the two are the same; one answer has to match. Prediction and answers are always normalised, as
in the variant `normalized` of `vqa_accuracy`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vlrouting.metrics.vqa_accuracy import normalize_answer

ENOUGH = 3
"""Matching answers that give the full score."""


def answer_accuracy(prediction: str, answers: Sequence[str]) -> float:
    """Accuracy of one prediction in [0, 1].

    Raises:
        ValueError: there are no answers.
    """
    return accuracy_of_matches(_matches(prediction, answers), len(answers))


def accuracy_of_matches(matches: int, answers: int) -> float:
    """Accuracy in [0, 1] of a prediction that equals `matches` of so many answers."""
    if answers == 1:
        return float(matches)
    enough = min(ENOUGH, answers - 1)
    # A matching answer is left out in as many ways as there are matches; each then leaves one match less.
    total = matches * min(enough, matches - 1) + (answers - matches) * min(enough, matches)
    return total / (answers * enough)  # of integers, so that the result is rounded once


def exact_match(prediction: str, answers: Sequence[str]) -> float:
    """1 where the prediction equals any answer, else 0.

    Raises:
        ValueError: there are no answers.
    """
    return float(_matches(prediction, answers) > 0)


def _matches(prediction: str, answers: Sequence[str]) -> int:
    # A string is also a sequence of strings, and "yes" would count as three answers.
    if isinstance(answers, str) or not answers:
        raise ValueError(f"a prediction is compared with a list of answers, not with {answers!r}")
    normalized = normalize_answer(prediction)
    return sum(normalize_answer(answer) == normalized for answer in answers)


def title_of(counts: Iterable[int]) -> str:
    """The metric's name over examples with so many answers each: it says the number."""
    known = sorted(set(counts)) or [1]
    if known == [1]:
        return "exact match (normalised answers)"
    over = f"{known[0]} to {known[-1]}" if len(known) > 1 else str(known[0])
    return f"VQA accuracy over {over} answers (leave-one-out)"
