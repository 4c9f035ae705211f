"""What becomes of a point's answers, and of its score, when the image is swapped for another example's, or removed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from vlrouting import statistics
from vlrouting.data.example import Example
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
    score = built.test_score
    own, of_own = _test(built, score.examples, title)
    texts, scores = {}, {}
    texts["swapped"], scores["swapped"] = _test(built, swapped, f"{title}, swapped images")
    with without_image(built.task.model):
        texts["removed"], scores["removed"] = _test(built, score.examples, f"{title}, no image")
    changed = {name: tuple(text != own[identity] for identity, text in of.items()) for name, of in texts.items()}
    clusters = {example.id: score.cluster(example) for example in score.examples}
    return Answers(
        tuple(clusters[identity] for identity in own), changed, _score_change(score, of_own, scores, clusters)
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


def _test(built: Built, examples: Sequence[Example], title: str) -> tuple[dict[int | str, str], Scores]:
    """Predictions by id, in the order of `built.test_score.examples`, and what the metric says of them."""
    built.data.test_examples = examples
    testing_trainer(built.task.config, title).test(built.task, built.data, verbose=False)
    assert built.task.tested is not None
    return {record["id"]: record["prediction"] for record in built.task.predictions}, built.task.tested


def _score_change(
    score: Score, own: Scores, changed: Mapping[str, Scores], clusters: Mapping[int | str, str]
) -> ScoreChange | None:
    main = score.main
    if main not in own.values:
        return None
    of_example = own.per_example.get(main, {})
    labels = [clusters[identity] for identity in of_example]
    difference = {}
    for name, scores in changed.items():
        if len(set(labels)) > 1:
            others = [scores.per_example[main][identity] for identity in of_example]
            found = statistics.paired_difference([others], [list(of_example.values())], labels)
            difference[name] = Range(found.mean, found.low, found.high)
    values = {name: scores.values[main] for name, scores in changed.items()}
    return ScoreChange(main, score.titles(own).get(main, main), own.values[main], **values, difference=difference)
