"""An experiment of a few steps for each task, and what can be compared of a run of it."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from safetensors.torch import load_file

from tests.golden.backbones import save_backbones
from tests.tiny_backbones import WORDS
from tests.tiny_experiment import write_captions, write_colors
from tests.training.event_curves import curve
from vlrouting.experiment import RunDirectory, load
from vlrouting.launch.in_process import train
from vlrouting.shapes import make_world

TOLERANCE = 5e-5
"""Relative, of a stored number. Kernels without vector instructions (ATEN_CPU_CAPABILITY=default) change a loss by 2e-6
at most and a norm by 8e-6, after 32 steps; so do other versions of the libraries (`make test-floor`)."""
DIFFERENCE = 5e-4
"""Relative; losses further apart are different ones. The weakest option of `tests/training/every_option.py` changes one
by 9e-4."""

_BASE: dict[str, Any] = {
    "seed": 3,
    "vision": {"image_size": 32},
    "train": {
        "max_steps": 4, "batch_size": 8, "lr": 0.02, "accelerator": "cpu", "validate_every_steps": 4,
        "log_every_steps": 1,
    },
    "evaluate": {"batch_size": 16, "panel": 0},
}  # fmt: skip
_WORLD = {
    "root": "world",
    "prepare": "shapes",
    "train": "train",
    "test": "test",
    "validation": "val",
    "min_answer_count": 1,
}
_COLORS = {"root": "colors", "validation": "val2014"}
_CAPTIONS = {"name": "coco", "root": "captions", "train": "train", "validation": "val", "test": "test"}
LORA = ("bottleneck.kind=lora", "bottleneck.rank=4", "bottleneck.routing=mul")
"""Overrides that most runs have; they are no part of the YAML, so that other kinds can be chosen, which lack a rank."""
TASKS: dict[str, dict[str, Any]] = {
    "vqa_classification": {
        "data": {**_COLORS, "min_answer_count": 2},
        "language": {"name": "roberta"},
        "train": {"max_steps": 24},
    },
    "vqa_generation": {
        "task": "vqa_generation",
        "data": {**_COLORS, "prompt": "the {text} picture"},
        "language": {"name": "gpt2"},
        "generate": {"max_new_tokens": 3},
        "train": {"max_steps": 24},
    },
    "captioning": {
        "task": "captioning",
        "data": _CAPTIONS,
        "language": {"name": "gpt2"},
        "generate": {"beams": 2, "max_new_tokens": 6},
        "train": {"max_steps": 32},
    },
    "gqa": {"data": {**_WORLD, "name": "gqa"}, "language": {"name": "roberta"}, "train": {"lr": 0.003}},
    "nlvr2": {"data": {**_WORLD, "name": "nlvr2"}, "language": {"name": "roberta"}, "train": {"lr": 0.003}},
}
"""Name -> sections beside the common ones."""


@dataclass(frozen=True)
class Trace:
    """What a run gave.

    Attributes:
        losses: of every logged step.
        rates: learning rate of every logged step.
        norms: L2 norm of every trained tensor at the end.
        metrics: metrics.json, without METEOR, which needs Java.
        predictions: of the test split, in the order of the ids.
        facts: of run.json the precision and the titles of the metrics.
        run: its directory.
    """

    losses: list[float]
    rates: list[float]
    norms: dict[str, float]
    metrics: dict[str, float]
    predictions: list[str]
    facts: dict[str, Any]
    run: RunDirectory

    def summary(self) -> dict[str, Any]:
        """What is stored of an option's run: the losses, and the L2 norm of all trained tensors."""
        return {"losses": self.stored()["losses"], "norm": [_short(math.hypot(*self.norms.values()))]}

    def stored(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "losses": [_short(loss) for loss in self.losses],
            "norms": {name: _short(norm) for name, norm in self.norms.items()},
            "metrics": {name: _short(value) for name, value in self.metrics.items()},
            "predictions": self.predictions,
        }


def _short(number: float) -> float:
    return float(f"{number:.8g}")


def write_experiments(folder: Path) -> dict[str, Path]:
    """The YAML of every task, with data and backbones beside it."""
    for subtype in ("train2014", "val2014"):
        write_colors(folder / "colors", subtype, 24)
    (folder / "colors" / "answers.json").write_text('["yes", "red", "no"]')
    write_captions(folder / "captions", 12)
    make_world(folder / "world", train=24, val=8, test=8)
    asked = json.loads((folder / "world" / "questions_train.json").read_text())["questions"]
    words = {word for record in asked for word in re.findall(r"\w+", record["question"])}
    save_backbones(folder, [*WORDS, "picture", "this", "all", *sorted(words - {*WORDS, "picture", "this", "all"})])
    files = {}
    for task, sections in TASKS.items():
        data = {**sections["data"], "root": str(folder / sections["data"]["root"])}
        own = {
            "data": data,
            "language": {"name": str(folder / sections["language"]["name"])},
            "train": {**_BASE["train"], **sections.get("train", {})},
            "vision": {**_BASE["vision"], "name": str(folder / "vit")},
        }
        files[task] = folder / f"{task}.yaml"
        files[task].write_text(yaml.safe_dump({**_BASE, **sections, **own}))
    return files


def trace(file: Path, runs: Path, *overrides: str) -> Trace:
    """Train and test the experiment's only point, in one thread."""
    experiment = load(str(file), list(overrides))
    with one_thread(), pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", "/nowhere")  # no Java: METEOR takes seconds, and the tests have a stand-in for it
        failed = train(experiment, experiment.points, runs)
    assert failed == {}
    run = RunDirectory(runs / experiment.name / experiment.points[0].name)
    facts: dict[str, Any] = run.read_run()
    tensors = load_file(run.artifact / "adapter_model.safetensors")
    records = [json.loads(line) for line in run.predictions.read_text().splitlines()]
    return Trace(
        losses=[value for _, value in curve(run, "train/loss")],
        rates=[value for _, value in curve(run, "train/lr")],
        norms={name: float(tensor.double().norm()) for name, tensor in sorted(tensors.items())},
        metrics=run.read_metrics(),
        predictions=[record["prediction"] for record in records],
        facts={"precision": facts["precision"], **facts["shown_metrics"]},
        run=run,
    )


@contextmanager
def one_thread() -> Iterator[None]:
    """Sums over several threads are added up in another order."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
