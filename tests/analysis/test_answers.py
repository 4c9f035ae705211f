"""Answers under the own, another and no image, on planted routing functions."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.analysis.planted import COPY, IGNORE, build, planted_routings  # noqa: F401
from tests.tiny_experiment import write_caption_experiment, write_experiment
from vlrouting.analysis.answers import Answers, ask, interval, without_image
from vlrouting.analysis.point import swapped_examples
from vlrouting.experiment import UserError
from vlrouting.models.joint_model import JointModel
from vlrouting.training.assembly import Built


@pytest.fixture(scope="module")
def questions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_experiment(tmp_path_factory.mktemp("questions"), 12)


def answers(built: Built) -> Answers:
    return ask(built, swapped_examples(built.test_score.examples), "test")


@pytest.fixture
def prefix_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """No token attends to the visual prefix: the image acts through the bottlenecks alone."""
    with_prefix = JointModel.with_prefix

    def cut_off(model: JointModel, visual: Tensor | None, text: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        embeddings, both = with_prefix(model, visual, text, mask)
        if visual is not None:
            both[:, : visual.shape[1]] = 0
        return embeddings, both

    monkeypatch.setattr(JointModel, "with_prefix", cut_off)


@pytest.mark.usefixtures("prefix_cut_off")
def test_routing_that_ignores_the_image_changes_no_answer(questions: Path) -> None:
    found = answers(build(questions, f"bottleneck.routing={IGNORE}"))

    assert found.share("swapped") == found.share("removed") == 0
    assert found.interval("swapped") == (0, 0)
    assert found.score is not None and found.score.own == found.score.swapped == found.score.removed


@pytest.mark.usefixtures("prefix_cut_off")
def test_routing_that_copies_the_image_changes_the_answers_of_other_images_alone(questions: Path) -> None:
    """Pictures have one colour of four, and a swap for the same colour changes nothing."""
    built = build(questions, f"bottleneck.routing={COPY}")
    own, swapped = built.test_score.examples, swapped_examples(built.test_score.examples)
    found = ask(built, swapped, "test")

    pixels = [[Path(each.images[0]).read_bytes() for each in examples] for examples in (own, swapped)]
    same = [a == b for a, b in zip(*pixels, strict=True)]
    assert any(same) and not any(
        changed for changed, alike in zip(found.changed["swapped"], same, strict=True) if alike
    )
    assert found.share("swapped") > 0.3 and found.share("removed") > 0.3
    assert found.score is not None and found.score.swapped != found.score.own
    change = found.score.difference["swapped"]
    assert change.mean == pytest.approx(found.score.swapped - found.score.own)
    assert change.low < change.mean < change.high


def test_the_prefix_carries_the_image_where_routing_does_not(questions: Path) -> None:
    found = answers(build(questions, "bottleneck.routing=none", std=2))

    assert 0 < found.share("swapped") <= 1 and 0 < found.share("removed") <= 1


def test_the_text_only_model_keeps_every_answer(questions: Path) -> None:
    found = answers(build(questions, "bottleneck.routing=none", "model.visual_input=none"))

    assert found.share("swapped") == found.share("removed") == 0


def test_generated_texts(tmp_path: Path) -> None:
    built = build(write_caption_experiment(tmp_path, 6), "bottleneck.routing=add", "generate.beams=2")
    found = answers(built)

    assert len(found.clusters) == len(set(found.clusters)) == 6
    assert found.share("swapped") > 0 and found.share("removed") > 0
    assert found.score is not None and found.score.metric == "CIDEr"
    assert found.score.difference.keys() == {"swapped", "removed"}


def test_without_image_prefix_and_bottlenecks_read_zeros_and_then_the_image_again(questions: Path) -> None:
    for normalize in ("true", "false"):
        built = build(questions, "bottleneck.routing=mul", f"model.normalize_visual={normalize}")
        model, batch = built.task.model.eval(), built.data.first.collate(list(built.test_score.examples)[:2])
        with torch.no_grad(), without_image(model):
            visual = model.visual_features(batch)
        assert visual is not None and not visual.any()
        with torch.no_grad():
            assert model.visual_features(batch).any()  # type: ignore[union-attr]


def test_the_interval_over_seeds_counts_seeds_and_clusters() -> None:
    clusters = tuple(str(n // 2) for n in range(40))
    half, all_of_them = tuple(n % 4 < 2 for n in range(40)), (True,) * 40
    first = Answers(clusters, {"swapped": half, "removed": half}, None)
    second = Answers(clusters, {"swapped": all_of_them, "removed": half}, None)
    of_one, of_both = first.interval("swapped"), interval([first, second])

    assert of_one is not None and of_one[0] < 0.5 < of_one[1] and first.share("swapped") == 0.5
    assert of_both["removed"] == pytest.approx(of_one, abs=0.01)  # the seeds agree
    assert of_both["swapped"] == (0, 1)  # two seeds that differ by 0.5 say nothing: 0.75 +- 3.2, cut off
    one_cluster = Answers(("one", "one"), {"swapped": (True, False), "removed": (True, True)}, None)
    assert one_cluster.interval("swapped") is None


def test_one_image_cannot_be_swapped(questions: Path) -> None:
    built = build(questions, "evaluate.limit=1")
    with pytest.raises(UserError, match="--examples"):
        swapped_examples(built.test_score.examples)
