"""What becomes of a point's answers, and of its score, when the image is swapped for another example's, or removed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch

from vlrouting import statistics
from vlrouting.data.example import Example
from vlrouting.metrics import per_example
from vlrouting.metrics.score import Score, Scores
from vlrouting.models.joint_model import JointModel
from vlrouting.training.assembly import Built
from vlrouting.training.evaluation import testing_trainer

CHANGES = ("swapped", "removed")
"""What is done to the image."""


@dataclass(frozen=True)
class Range:
    """A number with its 95% interval over clusters of test examples; it holds for this training run."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class ScoreChange:
    """The main metric under each image, in its own unit, over the analysed examples."""

    metric: str
    """Key of the metric, without the split."""
    title: str
    own: float
    swapped: float
    removed: float
    difference: dict[str, Range]
    """`swapped` and `removed` minus `own`, of the examples' values; empty where examples have none of their own, or all
    are of one cluster."""


@dataclass(frozen=True)
class Answers:
    """The predictions with the own image, and with each of `CHANGES`.

    Attributes:
        clusters: label of every example, in the order of the examples.
        changed: by change, whether the answer's text differs from that with the own image, example by example.
        score: None without references.
    """

    clusters: tuple[str, ...]
    changed: dict[str, tuple[bool, ...]]
    score: ScoreChange | None

    def share(self, change: str) -> float:
        """Of the examples whose answer changes, 0 to 1."""
        return sum(self.changed[change]) / len(self.clusters)

    def interval(self, change: str) -> tuple[float, float] | None:
        """95% interval of `share`, within 0 and 1; None where all examples are of one cluster."""
        return interval([self])[change]


def interval(seeds: Sequence[Answers]) -> dict[str, tuple[float, float] | None]:
    """95% interval of the mean share of one or several training seeds, by change: seeds and clusters both count."""
    found: dict[str, tuple[float, float] | None] = dict.fromkeys(CHANGES)
    if len(set(seeds[0].clusters)) > 1:
        for change in CHANGES:
            scores = [[float(changed) for changed in each.changed[change]] for each in seeds]
            of_share = statistics.interval(scores, seeds[0].clusters)
            found[change] = max(of_share.low, 0.0), min(of_share.high, 1.0)
    return found


def ask(built: Built, swapped: Sequence[Example], title: str) -> Answers:
    """Predict the test examples with each image, as `vlrouting evaluate` does.

    Args:
        built: the point with its trained tensors.
        swapped: the test examples with other examples' images.
        title: of the progress bars.
    """
    own = _test(built, built.test_score.examples, title)
    changed = {"swapped": _test(built, swapped, f"{title}, swapped images")}
    with without_image(built.task.model):
        changed["removed"] = _test(built, built.test_score.examples, f"{title}, no image")
    return Answers(
        tuple(record["cluster"] for record in own.records),
        {change: own.differing(other) for change, other in changed.items()},
        _score_change(built.test_score, own, changed),
    )


@contextmanager
def without_image(model: JointModel) -> Iterator[None]:
    """The projected visual features are zeros inside the block, in the prefix and for every bottleneck.

    Leaving the features out altogether is not possible for every model: a routed bottleneck needs an image, and a
    caption without a prompt needs the prefix that it is predicted from.
    """
    if model.projector is None:  # text-only
        yield
        return
    handle = model.projector.register_forward_hook(lambda _module, _inputs, features: torch.zeros_like(features))
    try:
        yield
    finally:
        handle.remove()


@dataclass(frozen=True)
class _Tested:
    """One pass over the test examples: the records of predictions.jsonl, in their order, and the scores."""

    records: list[dict[str, Any]]
    scores: Scores

    def differing(self, other: _Tested) -> tuple[bool, ...]:
        """Whether the prediction is another one, example by example."""
        pairs = zip(self.records, other.records, strict=True)
        return tuple(ours["prediction"] != theirs["prediction"] for ours, theirs in pairs)


def _test(built: Built, examples: Sequence[Example], title: str) -> _Tested:
    built.data.first.test_examples = examples
    testing_trainer(built.task.config, title).test(built.task, built.data, verbose=False)
    return _Tested(built.task.predictions, next(iter(built.task.tested.values())))


def _score_change(score: Score, own: _Tested, changed: Mapping[str, _Tested]) -> ScoreChange | None:
    main = score.main
    if main not in own.scores.values:
        return None
    values = {change: tested.scores.values[main] for change, tested in changed.items()}
    title = score.titles(own.scores).get(main, main)
    difference = {change: _difference(main, own.records, tested.records) for change, tested in changed.items()}
    known = {change: found for change, found in difference.items() if found is not None}
    return ScoreChange(main, title, own.scores.values[main], **values, difference=known)


def _difference(metric: str, own: list[dict[str, Any]], changed: list[dict[str, Any]]) -> Range | None:
    ours, theirs = per_example.scored(own), per_example.scored(changed)
    before, after = per_example.values(ours, metric), per_example.values(theirs, metric)
    clusters = [record["cluster"] for record in ours]
    if before is None or after is None or len(set(clusters)) < 2:
        return None
    statistic = per_example.statistic(metric)
    found = statistics.paired_difference(after[None], before[None], clusters, statistic=statistic)
    return Range(found.mean, found.low, found.high)
