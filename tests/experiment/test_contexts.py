"""`bottleneck.contexts` in an experiment: its keys, what it inherits, and what cannot go with it."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from tests.experiment.writing import error_lines, write
from vlrouting.experiment import load
from vlrouting.experiment.manual import explain
from vlrouting.experiment.resolve import to_yaml
from vlrouting.experiment.stored import config_from_dict

LORA = "extends: [base/short]\nbottleneck:\n  kind: context_lora\n  rank: 8\n"


def test_contexts_differ_and_inherit_what_they_do_not_say(experiments: Path) -> None:
    write(experiments, "x", f"{LORA}  contexts: {{image: {{rank: 2, alpha: 3}}, text: {{routing: mul}}}}\n")
    point = load("x").points[0].config
    config: Any = point.bottleneck
    image, text = config.named_contexts.values()
    assert (config.rank_of(image), config.scale_of(image), config.routing_of(image)) == (2, 1.5, "none")
    assert (config.rank_of(text), config.scale_of(text), config.routing_of(text)) == (8, 1, "mul")
    assert config.routings == {"routing": "none", "contexts.text.routing": "mul"} and config.routed
    write(experiments, "again", to_yaml(point))
    assert load("again").points[0].config == config_from_dict(asdict(point)) == point
    changed: Any = load("x", ["bottleneck.rank=5", "bottleneck.contexts.image=null"]).points[0].config.bottleneck
    assert [*changed.named_contexts] == ["text"] and changed.rank_of(changed.contexts.text) == 5
    everywhere: Any = load("x", ["bottleneck.contexts.text.routing=null", "bottleneck.routing=add"]).points[0].config
    assert everywhere.bottleneck.routings == {"routing": "add"}
    write(experiments, "ia3", "extends: [base/short]\nbottleneck: {kind: context_ia3, contexts: {all: {}}}\n")
    ia3: Any = load("ia3").points[0].config.bottleneck
    assert [*ia3.named_contexts] == ["image", "text", "all"]


def test_a_sweep_may_set_a_context(experiments: Path) -> None:
    """What a point differs in is written as JSON."""
    write(experiments, "x", f"{LORA}sweep: {{cases: {{a: {{bottleneck.contexts: {{text: null, all: {{}}}}}}}}}}\n")
    experiment = load("x")
    (point,) = experiment.points
    assert json.loads(json.dumps(experiment.swept(point)))["bottleneck.contexts.all"]["rank"] is None
    assert point.differing == {"bottleneck.contexts.text": None, "bottleneck.contexts.all": {}}
    assert [*point.config.bottleneck.named_contexts] == ["image", "all"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("  contexts: {imag: {rank: 2}}", "5: bottleneck.contexts.imag: unknown key. Did you mean"),
        ("  contexts: {image: {rnak: 2}}", "5: bottleneck.contexts.image.rnak: unknown key. Did you mean"),
        ("  contexts: {image: {rank: 0}}", "5: bottleneck.contexts.image.rank: 0 is below 1"),
        ("  contexts: {text: {routing: mull}}", "5: bottleneck.contexts.text.routing: 'mull' is not one of none, add"),
        (
            "  contexts: {image: null, text: null}",
            "5: bottleneck.contexts.image: no context is left; keep one of image,",
        ),
        ("  tower: vision", "5: bottleneck.tower: all tokens of a vision tower are the image's"),
        (
            "  contexts: {text: {routing: mul}}\nmodel: {visual_input: none}",
            "6: model.visual_input, bottleneck.contexts.text.routing: none leaves the routing no image",
        ),
        (
            "  routing: mul\nmodel: {visual_prefix: false}",
            "6: model.visual_prefix, bottleneck.kind: kind: context_lora has weights for the image's tokens, and there",
        ),
        (
            "  contexts: {text: {routing: self}}\ntask: captioning\ndata: {name: coco}",
            "5: bottleneck.contexts.text.routing: self reads later tokens too, so it cannot go with captioning",
        ),
    ],
)
def test_every_error_has_its_place(experiments: Path, given: str, said: str) -> None:
    write(experiments, "x", f"{LORA}{given}\n")
    assert any(line.startswith(f"x.yaml:{said}") for line in error_lines()), error_lines()


def test_without_an_image_weights_for_it_are_no_error(experiments: Path) -> None:
    """The text-only baseline of a variant has the same bottlenecks; without a prefix, those of the text remain."""
    write(experiments, "x", LORA)
    assert load("x", ["model.visual_input=none"]).points
    assert load("x", ["model.visual_prefix=false", "bottleneck.contexts.image=null", "bottleneck.routing=mul"]).points


def test_the_manual_of_the_keys() -> None:
    assert "image's tokens" in explain("bottleneck.contexts.image").text
    assert explain("bottleneck.contexts.text.rank").facts["default"] == "null"
