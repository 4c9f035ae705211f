"""VQA accuracy of the official evaluation code, and the results file of its evaluation server.

Source: https://github.com/GT-Vision-Lab/VQA (PythonEvaluationTools/vqaEvaluation/vqaEval.py). Two variants are in use.
Their results differ by whole points, so always report the variant (`VQAAccuracy.describe`):

- `official`: the code since March 2021. Prediction and references are normalised in the same way, but only if the
  references differ; ten equal references are compared unchanged ("Yes" against ten "yes" scores 0).
- `legacy`: the code before. The prediction is always normalised in full. Of the references only the punctuation is
  removed, and only if they differ, so that a reference "two" or "a dog" never matches.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from vlrouting.metrics.results_file import write_results_file
from vlrouting.metrics.vqa_text import normalize_answer, replace_punctuation, strip_whitespace

__all__ = ["VARIANT_NAMES", "VQAAccuracy", "normalize_answer", "vqa_accuracy", "write_results"]

ANSWERS_PER_QUESTION = 10
FULL_SCORE = 10
"""Best accuracy of a question in tenths; in tenths it is always an integer."""

VARIANT_NAMES = {"official": "official evaluation code, 2021 variant", "legacy": "legacy evaluation code, before 2021"}


def _check_variant(variant: str) -> None:
    if variant not in VARIANT_NAMES:
        raise ValueError(f"unknown variant of VQA accuracy: '{variant}'; known: {', '.join(VARIANT_NAMES)}")


def _check_ten(answers: Sequence[str], where: str = "") -> None:
    # A string is also a sequence of strings, and "helicopter" would count as ten answers.
    if isinstance(answers, str) or len(answers) != ANSWERS_PER_QUESTION:
        got = "a single string" if isinstance(answers, str) else str(len(answers))
        raise ValueError(f"{where}VQA accuracy needs {ANSWERS_PER_QUESTION} answers per question, got {got}")


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


def _score_in_tenths(prediction: str, answers: Sequence[str], variant: str) -> int:
    """min(1, matches / 3), averaged over the ten ways to leave out one annotator, equals min(1, 0.3 matches)."""
    count_matches = _count_official_matches if variant == "official" else _count_legacy_matches
    return min(FULL_SCORE, 3 * count_matches(prediction, answers))


def vqa_accuracy(prediction: str, answers: Sequence[str], variant: str = "official") -> float:
    """Accuracy of one answer against the answers of ten distinct annotators, in [0, 1].

    Raises:
        ValueError: other than ten answers, or an unknown variant.
    """
    _check_variant(variant)
    _check_ten(answers)
    return _score_in_tenths(prediction, answers, variant) / FULL_SCORE


class VQAAccuracy(Metric):
    """VQA accuracy over a dataset in percent, overall and per answer type and question type.

    The state `totals` is a (2, 1 + answer types + question types) integer tensor: the summed tenths and the number of
    questions. It has a fixed size and can be summed over processes; integer sums do not depend on the order.

    Args:
        answer_types: every answer type of the dataset, such as yes/no, number, other. Empty: no accuracy per type.
        question_types: every question type of the dataset. Empty: no accuracy per type.
        variant: `official` or `legacy`, see the module.
        options: of `torchmetrics.Metric`.

    Raises:
        ValueError: the variant is unknown, or a type is duplicate.
    """

    is_differentiable = False
    higher_is_better = True
    full_state_update = False
    totals: Tensor

    def __init__(
        self,
        answer_types: Sequence[str] = (),
        question_types: Sequence[str] = (),
        variant: str = "official",
        **options: Any,
    ) -> None:
        super().__init__(**options)
        _check_variant(variant)
        self.variant = variant
        self._types = {"answer_type": tuple(answer_types), "question_type": tuple(question_types)}
        self._columns = {"vqa_accuracy": 0}
        for kind, names in self._types.items():
            for name in names:
                key = f"vqa_accuracy/{kind}/{name}"
                if key in self._columns:
                    raise ValueError(f"{kind} '{name}' is declared twice")
                self._columns[key] = len(self._columns)
        # Integers, because Apple GPUs (mps) do not support float64.
        self.add_state("totals", torch.zeros(2, len(self._columns), dtype=torch.int64), dist_reduce_fx="sum")

    def describe(self) -> str:
        """Title of the metric with its variant: "VQA accuracy (official evaluation code, 2021 variant)"."""
        return f"VQA accuracy ({VARIANT_NAMES[self.variant]})"

    def update(
        self,
        predictions: Sequence[str],
        answers: Sequence[Sequence[str]],
        answer_types: Sequence[str],
        question_types: Sequence[str],
        question_ids: Sequence[int | str],
    ) -> None:
        """Score a batch of B questions: B predictions, B times ten answers, and B types and ids.

        Types of a kind that was declared empty are ignored and may be empty here. A batch that raises an error does
        not change the sums.

        Raises:
            ValueError: lengths differ, a question has not ten answers, or a type was not declared.
        """
        types = {"answer_type": answer_types, "question_type": question_types}
        declared = {kind: values for kind, values in types.items() if self._types[kind]}
        _check_lengths(predictions=predictions, answers=answers, question_ids=question_ids, **declared)
        tenths = [0] * len(self._columns)
        questions = [0] * len(self._columns)
        for index, question_id in enumerate(question_ids):
            _check_ten(answers[index], where=f"question {question_id}: ")
            score = _score_in_tenths(predictions[index], answers[index], self.variant)
            columns = [self._column_of(kind, values[index], question_id) for kind, values in declared.items()]
            for column in (0, *columns):
                tenths[column] += score
                questions[column] += 1
        self.totals += torch.tensor([tenths, questions], dtype=torch.int64, device=self.totals.device)

    def _column_of(self, kind: str, name: str, question_id: int | str) -> int:
        column = self._columns.get(f"vqa_accuracy/{kind}/{name}")
        if column is None:
            known = ", ".join(self._types[kind])
            raise ValueError(f"question {question_id}: unknown {kind} '{name}'; known: {known}")
        return column

    def compute(self) -> dict[str, float]:
        """Accuracy in percent, not rounded (the official code rounds to two decimals).

        Keys: `vqa_accuracy`, `vqa_accuracy/answer_type/<type>` and `vqa_accuracy/question_type/<type>`, for the types
        that occurred. {} if there was no question.
        """
        tenths, questions = self.totals.tolist()
        return {
            key: 100 * tenths[column] / (FULL_SCORE * questions[column])
            for key, column in self._columns.items()
            if questions[column]
        }


def _check_lengths(**columns: Sequence[object]) -> None:
    if len({len(values) for values in columns.values()}) > 1:
        lengths = ", ".join(f"{len(values)} {name}" for name, values in columns.items())
        raise ValueError(f"a batch needs one of each per question, got {lengths}")


def write_results(path: str | Path, predictions: Mapping[int, str], expected_ids: Iterable[int]) -> None:
    """Write the file for the evaluation server: `[{"question_id": 1, "answer": "net"}]`, sorted by id.

    Raises:
        ValueError: the ids are not those expected; names the first five. Nothing is written.
    """

    def encode(pairs: list[tuple[int, str]]) -> str:
        return json.dumps([{"question_id": int(number), "answer": answer} for number, answer in pairs])

    write_results_file(path, predictions, expected_ids, encode)
