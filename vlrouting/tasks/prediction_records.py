"""The lines of predictions.jsonl."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vlrouting.data.example import Example, image_name
from vlrouting.metrics.score import Id, Score, Scores


def prediction_records(score: Score, predictions: Mapping[Id, str], scores: Scores, root: Path) -> list[dict[str, Any]]:
    """One record for each example of a scored split.

    Args:
        score: of the split.
        predictions: example id -> text.
        scores: what `score` gave for them.
        root: the data root, which the names of images in `cluster` are below.

    Returns:
        records with `id`, `question`, `answer_type`, `question_type` and `example_group` (where there are any),
        `prediction`, `references`, `image` or `images` (paths), `cluster`, `score` and `scores` (see
        `vlrouting.metrics.per_example`; none where the example is not scored), and what else `Score.of_records` needs.
    """
    fields = score.fields()
    return [
        {
            "id": example.id,
            **_texts(example),
            "prediction": predictions[example.id],
            "references": list(example.answers),
            **_images(example),
            "cluster": score.cluster(example, [image_name(path, root) for path in example.images]),
            **fields.get(example.id, {}),
            **_numbers(example.id, score.main, scores),
        }
        for example in score.examples
    ]


def _texts(example: Example) -> dict[str, str]:
    named = {"question": example.text, "answer_type": example.answer_type, "question_type": example.question_type}
    return {name: text for name, text in {**named, "example_group": example.group}.items() if text}


def _images(example: Example) -> dict[str, Any]:
    images = [str(path) for path in example.images]
    return {"image": images[0]} if len(images) == 1 else {"images": images}


def _numbers(identity: Id, main: str, scores: Scores) -> dict[str, Any]:
    numbers = {name: of[identity] for name, of in scores.per_example.items() if identity in of}
    if not numbers:
        return {}
    return {**({"score": numbers[main]} if main in numbers else {}), "scores": numbers}
