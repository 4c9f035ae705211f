"""A run that is killed outright, at twenty moments drawn at random, and started again each time."""

from __future__ import annotations

import json
import multiprocessing
import random
import signal
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_file_loader import LegacyEventFileLoader

from tests.tiny_experiment import write_experiment
from tests.training import killed_attempt
from vlrouting.experiment import RunDirectory
from vlrouting.training.checkpoints import read_checkpoint

STEPS = 40
KILLS = {"start": 4, "training": 8, "validation": 2, "test": 3, "writing": 3}
"""How many of the twenty moments fall where."""
STEPS_BEFORE_A_KILL = 6
"""At most, in training: half of them are done anew, so that the ten kills there leave steps for the others."""
SEED = 20


def moments(calls: dict[str, int]) -> list[tuple[str, int]]:
    """Places of the run and numbers of calls after them, in the order of the attempts.

    Args:
        calls: of an uninterrupted run, before each place.
    """
    draw = random.Random(SEED)
    length = {
        "start": calls["training"],
        "training": (calls["test"] - calls["training"]) * STEPS_BEFORE_A_KILL // STEPS,
        "validation": (calls["test"] - calls["training"]) * STEPS_BEFORE_A_KILL // STEPS,
        "test": calls["writing"] - calls["test"],
        "writing": calls["end"] - calls["writing"],
    }
    # A run that goes on makes fewer calls than one from the start, hence not up to the very end.
    drawn = {place: [draw.randrange(1, length[place] * 9 // 10) for _ in range(n)] for place, n in KILLS.items()}
    early = [(place, after) for place in ("start", "training", "validation") for after in drawn[place]]
    draw.shuffle(early)
    late = [(place, after) for place in ("test", "writing") for after in sorted(drawn[place])]
    return early + late


def in_a_process(target: Callable[..., None], *arguments: object) -> int:
    """Run it in a process that is forked from one in which everything is imported; its exit code."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([killed_attempt.__name__])
    process = context.Process(target=target, args=arguments)
    process.start()
    process.join()
    assert process.exitcode is not None
    return process.exitcode


@pytest.mark.slow
def test_killed_at_twenty_random_moments(tmp_path: Path) -> None:
    checked = {"evaluate": {"checkpoint": "best"}, "sweep": {"grid": {"seed": [3]}}}
    train = {"max_steps": STEPS, "checkpoint_every_steps": 3, "validate_every_steps": 5}
    file = write_experiment(tmp_path, train=train, **checked)
    found = tmp_path / "calls.json"
    assert in_a_process(killed_attempt.uninterrupted, file, tmp_path / "whole", found) == 0
    features = tmp_path / "data" / "features"
    features.rename(tmp_path / "features-of-the-whole-run")
    whole, cut = (RunDirectory(tmp_path / runs / "tiny" / "seed=3") for runs in ("whole", "cut"))
    for place, calls in moments(json.loads(found.read_text())):
        code = in_a_process(killed_attempt.killed, file, tmp_path / "cut", place, calls)
        assert code == -signal.SIGKILL, f"{calls} calls after {place}: exit code {code}"
        assert not cut.is_complete(), f"{calls} calls after {place}"
    assert in_a_process(killed_attempt.killed, file, tmp_path / "cut", "start", -1) == 0
    assert cut.is_complete()
    assert_same_results(whole, cut)
    assert_whole_files(cut.path)
    assert_whole_files(features)
    values = logged(cut)
    assert values == logged(whole)
    assert len({(tag, step) for tag, step, _ in values}) == len(values)
    assert not cut.previous.exists()


def assert_same_results(one: RunDirectory, other: RunDirectory) -> None:
    a, b = (load_file(run.artifact / "adapter_model.safetensors") for run in (one, other))
    assert a.keys() == b.keys()
    for name in a:
        assert torch.equal(a[name], b[name]), name
    assert one.predictions.read_text() == other.predictions.read_text()
    assert one.read_metrics() == other.read_metrics()
    for kind in ("last", "best"):
        c, d = (read_checkpoint(getattr(run, kind)) for run in (one, other))
        assert c["global_step"] == d["global_step"], kind
        for name in c["state_dict"]:
            assert torch.equal(c["state_dict"][name], d["state_dict"][name]), f"{kind}: {name}"


READERS: dict[str, Callable[[Path], object]] = {
    ".json": lambda path: json.loads(path.read_text()),
    ".jsonl": lambda path: [json.loads(line) for line in path.read_text().splitlines() if line],
    ".yaml": lambda path: yaml.safe_load(path.read_text()),
    ".ckpt": read_checkpoint,
    ".safetensors": load_file,
    ".npy": np.load,
    ".png": lambda path: Image.open(path).load(),
}


def assert_whole_files(folder: Path) -> None:
    """Every file can be read to its end, and nothing unfinished lies about."""
    for path in folder.rglob("*"):
        assert path.suffix != ".tmp", path
        if path.suffix in READERS and path.is_file():
            assert path.stat().st_size > 0, path
            READERS[path.suffix](path)


def logged(run: RunDirectory) -> list[tuple[str, int, float]]:
    """Tag, step and scalar of everything in the event files, doubles included; of the speed no value."""
    return sorted(
        (value.tag, event.step, 0.0 if value.tag == "train/samples_per_second" else value.simple_value)
        for file in run.tensorboard.glob("*tfevents*")
        for event in LegacyEventFileLoader(str(file)).Load()
        for value in event.summary.value
    )
