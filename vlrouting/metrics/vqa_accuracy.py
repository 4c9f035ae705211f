"""VQA accuracy of the official evaluation code, and the results file of its evaluation server.

Source: https://github.com/GT-Vision-Lab/VQA (PythonEvaluationTools/vqaEvaluation/vqaEval.py). Three variants are in
use. Their results differ by whole points, so always report the variant (`TITLES`):

- `official`: the code since March 2021. Prediction and references are normalised in the same way, but only if the
  references differ; ten equal references are compared unchanged ("Yes" against ten "yes" scores 0).
- `legacy`: the code before. The prediction is always normalised in full. Of the references only the punctuation is
  removed, and only if they differ, so that a reference "two" or "a dog" never matches.
- `normalized`: prediction and references are always normalised in full. No official code does this, but it is in use.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from pathlib import Path

from vlrouting.metrics import vqa_text
from vlrouting.metrics.results_file import write_results_file
from vlrouting.metrics.vqa_text import strip_whitespace

ANSWERS_PER_QUESTION = 10
FULL_SCORE = 10
"""Best accuracy of a question in tenths; in tenths it is always an integer."""

TITLES = {
    "official": "VQA accuracy (official evaluation code, 2021 variant)",
    "legacy": "VQA accuracy (legacy evaluation code, before 2021)",
    "normalized": "VQA accuracy (prediction and references always normalised)",
}
"""Variant -> title of the metric."""

# Annotators give the same answers again and again.
normalize_answer = lru_cache(1 << 16)(vqa_text.normalize_answer)
replace_punctuation = lru_cache(1 << 16)(vqa_text.replace_punctuation)


def _count_official_matches(prediction: str, answers: Sequence[str]) -> int:
    prediction = strip_whitespace(prediction)
    counts = Counter(strip_whitespace(answer) for answer in answers)
    if len(counts) == 1:
        return counts[prediction]
    prediction = normalize_answer(prediction)
    return sum(count for answer, count in counts.items() if normalize_answer(answer) == prediction)


def _count_legacy_matches(prediction: str, answers: Sequence[str]) -> int:
    prediction = normalize_answer(prediction)
    counts = Counter(answers)
    if len(counts) == 1:
        return counts[prediction]
    return sum(count for answer, count in counts.items() if replace_punctuation(answer) == prediction)


def _count_normalized_matches(prediction: str, answers: Sequence[str]) -> int:
    prediction = normalize_answer(prediction)
    return sum(normalize_answer(answer) == prediction for answer in answers)


_COUNT_MATCHES: dict[str, Callable[[str, Sequence[str]], int]] = {
    "official": _count_official_matches,
    "legacy": _count_legacy_matches,
    "normalized": _count_normalized_matches,
}


def vqa_tenths(prediction: str, answers: Sequence[str], variant: str = "official") -> int:
    """Accuracy of one answer against the answers of ten distinct annotators, in tenths.

    min(1, matches / 3), averaged over the ten ways to leave out one annotator, equals min(1, 0.3 matches).

    Raises:
        ValueError: other than ten answers, or an unknown variant.
    """
    if variant not in TITLES:
        raise ValueError(f"unknown variant of VQA accuracy: '{variant}'; known: {', '.join(TITLES)}")
    # A string is also a sequence of strings, and "helicopter" would count as ten answers.
    if isinstance(answers, str) or len(answers) != ANSWERS_PER_QUESTION:
        got = "a single string" if isinstance(answers, str) else str(len(answers))
        raise ValueError(f"VQA accuracy needs {ANSWERS_PER_QUESTION} answers per question, got {got}")
    return min(FULL_SCORE, 3 * _COUNT_MATCHES[variant](prediction, answers))


def vqa_accuracy(prediction: str, answers: Sequence[str], variant: str = "official") -> float:
    """The same in [0, 1]."""
    return vqa_tenths(prediction, answers, variant) / FULL_SCORE


def write_results(path: str | Path, predictions: Mapping[int, str], expected_ids: Iterable[int]) -> None:
    """Write the file for the evaluation server: `[{"question_id": 1, "answer": "net"}]`, sorted by id.

    Raises:
        ValueError: the ids are not those expected; names the first five. Nothing is written.
    """

    def encode(pairs: list[tuple[int, str]]) -> str:
        return json.dumps([{"question_id": int(number), "answer": answer} for number, answer in pairs])

    write_results_file(path, predictions, expected_ids, encode)
