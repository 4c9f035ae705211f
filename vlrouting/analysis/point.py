"""The analysis of one trained point."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from vlrouting.analysis.answers import CHANGES, Answers, ask
from vlrouting.analysis.layers import LayerMeasures, LayerWatch
from vlrouting.config import ExperimentConfig
from vlrouting.data.derangement import partners
from vlrouting.data.example import Example
from vlrouting.data.loading.sampler import EvaluationBatchSampler
from vlrouting.experiment import UserError
from vlrouting.progress_bar import progress_bar
from vlrouting.tasks.randomness import seed_step
from vlrouting.training.assembly import Built
from vlrouting.training.device import choose_device
from vlrouting.training.evaluation import rebuild, testing_trainer
from vlrouting.training.inputs import SharedInputs

SEED = 0
"""Of the derangements: the same for every point, so that points are compared on the same swapped images."""


@dataclass(frozen=True)
class Analysis:
    """What was measured in one point."""

    layers: tuple[LayerMeasures, ...]
    answers: Answers

    def to_json(self) -> dict[str, Any]:
        """analysis.json: `examples` and their `clusters` (numbers), the `seed` of the swap, `layers` with the fields of
        `LayerMeasures`, `answers_changed` (shares, 0 to 1) and `answers_changed_interval` (low, high) by change, and
        `score` with the fields of `ScoreChange`. What does not apply is null."""
        answers = self.answers
        return {
            "examples": len(answers.clusters),
            "clusters": len(set(answers.clusters)),
            "seed": SEED,
            "layers": [asdict(layer) for layer in self.layers],
            "answers_changed": {change: answers.share(change) for change in CHANGES},
            "answers_changed_interval": {change: answers.interval(change) for change in CHANGES},
            "score": None if answers.score is None else asdict(answers.score),
        }


def analyse_point(
    config: ExperimentConfig,
    artifact: Path,
    inputs: SharedInputs,
    *,
    examples: int,
    title: str,
    datasets: Sequence[str] = (),
) -> dict[str, Analysis]:
    """Measure a point on so many evenly spaced examples of its test split, or of that of each dataset.

    Args:
        config: of the point; `examples` takes the place of its `evaluate.limit`.
        artifact: the trained tensors.
        inputs: shared by the points.
        examples: at most, of each dataset; a smaller split is used whole.
        title: of the progress bars.
        datasets: those to measure on. Default: all of the point.

    Returns:
        By dataset.

    Raises:
        UserError: all examples have the same image.
        ArtifactError: the artifact is damaged, or its backbones are others than at its training.
    """
    built = rebuild(replace(config, evaluate=replace(config.evaluate, limit=examples)), artifact, inputs)
    found = {}
    for name in datasets or config.per_dataset:
        shown = f"{title}, {name}" if config.datasets else title
        with one_dataset(built, name):
            swapped = swapped_examples(built.test_score.examples)
            answers = ask(built, swapped, shown)
            found[name] = Analysis(measure_layers(built, swapped, choose_device([config]), shown), answers)
    return found


@contextmanager
def one_dataset(built: Built, name: str) -> Iterator[None]:
    """The point has this dataset alone inside the block; its model is the same."""
    task, data = built.task, built.data
    kept = task.score, task.task_model, data.sources
    task.score = {split: {name: of[name]} for split, of in task.score.items() if name in of}
    task.task_model, data.sources = task.task_models[name], {name: data.sources[name]}
    try:
        yield
    finally:
        task.score, task.task_model, data.sources = kept


def swapped_examples(examples: Sequence[Example]) -> list[Example]:
    """The examples with other ones' images. Examples of one image all get the same other one; a pair is swapped whole.

    Raises:
        UserError: all examples have the same image.
    """
    try:
        other = partners((example.images for example in examples), SEED)
    except ValueError:
        raise UserError(
            f"all {len(examples)} examples have the same image, so none can be swapped; choose more with --examples"
        ) from None
    return [replace(example, images=other[example.images]) for example in examples]


def measure_layers(
    built: Built, swapped: Sequence[Example], device: torch.device, title: str
) -> tuple[LayerMeasures, ...]:
    """What routing does in every bottleneck, over one forward pass per test example.

    Where text is generated, the pass reads the reference (`Example.answer`) after the prompt, as in training.

    Args:
        built: the point with its trained tensors.
        swapped: the test examples with other images.
        device: to compute on.
        title: of the progress bar.
    """
    data, task, examples = built.data, built.task, built.test_score.examples
    source = data.first
    model = task.model.to(device).eval()
    watch = LayerWatch(model, SEED)
    precision = testing_trainer(task.config, title).precision_plugin
    batches = EvaluationBatchSampler(source.collate.lengths(examples), data.evaluation_batch_size)
    with (
        torch.inference_mode(),
        precision.forward_context(),
        progress_bar(f"{title}, layers", len(examples), "examples") as advance,
    ):
        for number, indices in enumerate(batches):
            own, other = (
                source.batch_with_targets([each[i] for i in indices]).to(device) for each in (examples, swapped)
            )
            seed_step(task.seed, "analysis", number)  # noise is the same for both images
            visual = model.visual_features(other)
            seed_step(task.seed, "analysis", number)
            with watch.beside(visual, own.dataset), watch.watching():
                task.task_model.loss(own)
            advance(len(indices))
    return watch.measures()
