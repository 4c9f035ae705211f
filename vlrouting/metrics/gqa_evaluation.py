"""GQA's official evaluation, and the predictions file of its evaluation server.

Source: https://cs.stanford.edu/people/dorarad/gqa/evaluate.html. Answers are compared exactly, without normalisation.
Only balanced questions are scored; unbalanced ones are used for consistency only.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from vlrouting.metrics.results_file import named, write_results_file

COMMON_ATTRIBUTES = frozenset({"color", "material", "shape"})
"""The valid and plausible answers to a question about what two objects have in common."""
COMMON = "Common"
"""A part of the detailed type of such a question."""
NOT_STEPS = ("exist", "query: name", "choose name")
"""An operation of the program whose `operation: argument` contains one of these is not a reasoning step."""

Records = Mapping[str, Mapping[str, Any]]
"""Question id -> official question record, or choices."""


class NotComputable(Exception):
    """A number cannot be computed; the message says which input is missing and where to get it."""


def evaluate(questions: Records, predictions: Mapping[str, str], choices: Records | None = None) -> dict[str, Any]:
    """All metrics of one split.

    Args:
        questions: question id -> record of the official file; with the unbalanced records to get consistency.
        predictions: question id -> answer, for every balanced question; other answers are used for consistency.
        choices: `{question id: {"valid": […], "plausible": […]}}` of the official evaluation archive.

    Returns:
        `accuracy`, `binary`, `open`, `structural/<type>`, `semantic/<type>`, `steps/<number>`, `consistency`,
        `validity` and `plausibility` in percent; `distribution` (lower is better) in the unit of the official code.
        Nothing is rounded. `not_computed` maps the names of missing metrics to the reason.

    Raises:
        ValueError: no question is balanced, a balanced one has no prediction or no answer, or a record is incomplete.
    """
    balanced = {qid: record for qid, record in questions.items() if _take(record, qid, "isBalanced")}
    if not balanced:
        raise ValueError("no question is balanced, and only balanced ones are scored; give the records of a whole file")
    missing = [qid for qid in balanced if qid not in predictions]
    if missing:
        raise ValueError(f"balanced questions without a prediction: {named(missing)}; predict every one of them")
    correct = {qid: predictions[qid] == _take(record, qid, "answer") for qid, record in balanced.items()}
    result: dict[str, Any] = _accuracies(balanced, correct)
    not_computed: dict[str, str] = {}
    further: dict[str, Callable[[], float]] = {
        "consistency": lambda: _consistency(questions, predictions, correct),
        "validity": lambda: _share_among("valid", balanced, predictions, choices),
        "plausibility": lambda: _share_among("plausible", balanced, predictions, choices),
        "distribution": lambda: _distribution(balanced, predictions),
    }
    for name, compute in further.items():
        try:
            result[name] = compute()
        except NotComputable as reason:
            not_computed[name] = str(reason)
    return result | {"not_computed": not_computed}


def write_results(path: str | Path, predictions: Mapping[str, str], expected_ids: Iterable[str]) -> None:
    """Write the file for the evaluation server: `[{"questionId": "02930152", "prediction": "yes"}]`.

    Raises:
        ValueError: the ids are not those expected; nothing is written.
    """

    def encode(pairs: list[tuple[str, str]]) -> str:
        return json.dumps([{"questionId": qid, "prediction": prediction} for qid, prediction in pairs])

    write_results_file(path, predictions, expected_ids, encode)


def _take(record: Any, qid: str, *keys: str) -> Any:
    value = record
    for key in keys:
        if not isinstance(value, Mapping) or key not in value:
            raise ValueError(f"question {qid}: the record has no '{'.'.join(keys)}'; give the official record")
        value = value[key]
    return value


def _accuracies(balanced: Records, correct: Mapping[str, bool]) -> dict[str, float]:
    """Accuracy in percent, overall and for every kind of question in the split."""
    scores = defaultdict[str, list[bool]](list)
    for qid, record in balanced.items():
        structure, meaning = (_take(record, qid, "types", key) for key in ("structural", "semantic"))
        kinds = (
            "accuracy",
            form_of(structure),
            f"structural/{structure}",
            f"semantic/{meaning}",
            f"steps/{steps_of(record, qid)}",
        )
        for kind in kinds:
            scores[kind].append(correct[qid])
    return {kind: 100 * _mean(scores[kind]) for kind in sorted(scores)}


def form_of(structural_type: str) -> str:
    """`open` or `binary`."""
    return "open" if structural_type == "query" else "binary"


def steps_of(record: Mapping[str, Any], qid: str) -> int:
    """Number of reasoning steps: operations of the program, except those in `NOT_STEPS`.

    A record of predictions.jsonl has their number as `steps` instead of the program.
    """
    if "steps" in record:
        return int(record["steps"])
    operations = [f"{step['operation']}: {step['argument']}" for step in _take(record, qid, "semantic")]
    return sum(not any(part in operation for part in NOT_STEPS) for operation in operations)


def _consistency(questions: Records, predictions: Mapping[str, str], correct: Mapping[str, bool]) -> float:
    return 100 * _mean(list(consistencies(questions, predictions, correct).values()))


def consistencies(questions: Records, predictions: Mapping[str, str], correct: Mapping[str, bool]) -> dict[str, float]:
    """Of each correctly answered question that entails others: the accuracy on those, in [0, 1].

    Args:
        questions, predictions: as `evaluate` takes them.
        correct: balanced question id -> whether it is answered correctly.

    Raises:
        NotComputable: a record or a prediction is missing, or there is no such question.
    """
    entailed = {
        qid: [other for other in _take(questions[qid], qid, "entailed") if other != qid]
        for qid, is_correct in correct.items()
        if is_correct
    }
    needed = dict.fromkeys(other for others in entailed.values() for other in others)
    missing = [
        f"{what} of {named(ids)}"
        for what, ids in (
            ("records", [other for other in needed if other not in questions]),
            ("predictions", [other for other in needed if other not in predictions]),
        )
        if ids
    ]
    if missing:
        raise NotComputable(
            f"needs the {' and the '.join(missing)} entailed questions, unbalanced ones included; read and predict the "
            "split's _all_questions file"
        )
    means = {
        qid: _mean([predictions[other] == _take(questions[other], other, "answer") for other in others])
        for qid, others in entailed.items()
        if others
    }
    if not means:
        raise NotComputable("no correctly answered question entails another one")
    return means


def _share_among(kind: str, balanced: Records, predictions: Mapping[str, str], choices: Records | None) -> float:
    """Percentage of predictions that are among the question's `valid` or `plausible` answers."""
    if choices is None:
        raise NotComputable(
            "needs the split's choices file, val_choices.json of eval.zip; there is none for testdev and test"
        )
    common = {qid for qid, record in balanced.items() if asks_what_is_common(record, qid)}
    unknown = [qid for qid in balanced if qid not in common and qid not in choices]
    if unknown:
        raise NotComputable(
            f"the choices file has no entry for {named(unknown)} questions; give the one of the same split"
        )
    found = [
        predictions[qid] in (COMMON_ATTRIBUTES if qid in common else _take(choices[qid], qid, kind)) for qid in balanced
    ]
    return 100 * _mean(found)


def asks_what_is_common(record: Mapping[str, Any], qid: str) -> bool:
    """Whether a question is about what two objects have in common: `COMMON_ATTRIBUTES`."""
    return COMMON in _take(record, qid, "types", "detailed")


def _distribution(balanced: Records, predictions: Mapping[str, str]) -> float:
    """Chi-square of predicted and gold answers per global group, averaged by number of questions, divided by 100."""
    gold, predicted = defaultdict[str, Counter[str]](Counter), defaultdict[str, Counter[str]](Counter)
    for qid, record in balanced.items():
        group = _take(record, qid, "groups", "global")
        if group is not None:
            gold[group][record["answer"]] += 1
            predicted[group][predictions[qid]] += 1
    if not gold:
        raise NotComputable("no balanced question belongs to a global group")
    weighted = [
        counts.total() * sum((predicted[group][answer] - count) ** 2 / count for answer, count in counts.items())
        for group, counts in gold.items()
    ]
    return sum(weighted) / sum(counts.total() for counts in gold.values()) / 100


def _mean(values: list[bool] | list[float]) -> float:
    return sum(values) / len(values)
