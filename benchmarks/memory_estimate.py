"""The doctor's estimate of memory against the measured peak of training steps on a CPU.

    python benchmarks/memory_estimate.py

Trains the model of demo_caption (or `--experiment`) for three steps on random texts of full length, each setting in a
process of its own, and compares the estimate with the process's highest resident memory; `step` leaves out on both
sides what is there before: program, weights, optimizer. It printed, with torch 2.14 in one thread (OMP_NUM_THREADS=1):

    as it is                             all   estimated    2503 MiB, measured    2381 MiB, ratio 1.05
    as it is                             step  estimated    1485 MiB, measured    1463 MiB, ratio 1.02
    train.accumulate=4                   all   estimated    1389 MiB, measured    1314 MiB, ratio 1.06
    train.accumulate=4                   step  estimated     371 MiB, measured     395 MiB, ratio 0.94
    train.gradient_checkpointing=true    all   estimated    1690 MiB, measured    1597 MiB, ratio 1.06
    train.gradient_checkpointing=true    step  estimated     672 MiB, measured     680 MiB, ratio 0.99

`program` in `vlrouting.doctor.memory` is a number from here; all else is counted from the model's shapes.
"""

from __future__ import annotations

import argparse
import subprocess
import sys

import torch

from vlrouting.backbones.language import load_language_model
from vlrouting.backbones.vision import load_vision_encoder
from vlrouting.config import ExperimentConfig
from vlrouting.doctor import Surroundings
from vlrouting.doctor.memory import estimate
from vlrouting.doctor.sizes import sizes
from vlrouting.experiment import load
from vlrouting.tasks.optimization import make_optimizer
from vlrouting.training.assembly import build_model
from vlrouting.training.device import peak_memory, reset_peak_memory
from vlrouting.training.inputs import Visual

SETTINGS = ("", "train.accumulate=4", "train.gradient_checkpointing=true")
ANSWERS = 3129
STEPS = 3


def measure(config: ExperimentConfig) -> tuple[int, int]:
    """Bytes of resident memory before the first whole step, and at the highest."""
    vision = load_vision_encoder(config.vision)  # as a run has it, which computes features with it
    _, tokens, width = vision(torch.zeros(1, 3, *vision.image_size)).shape
    visual = Visual(None, (tokens, width), None, None)
    language = load_language_model(config.language, causal=config.generates)
    model = build_model(config, language, [str(number) for number in range(ANSWERS)], visual).train()
    optimizer, _ = make_optimizer(model.parameters(), config.train, STEPS)
    rows = config.train.batch_size // config.train.accumulate
    length = sizes(config, Surroundings()).sequence(config) - tokens

    def step(rows: int) -> None:
        ids = torch.randint(10, 100, (rows, length))
        texts = (ids, torch.ones_like(ids), *([ids] if config.generates else []))
        model(*texts, features=torch.randn(rows, tokens, width)).sum().backward()
        optimizer.step()
        optimizer.zero_grad()

    step(1)  # loads what torch loads late
    reset_peak_memory()
    before = peak_memory(torch.device("cpu"))
    for _ in range(STEPS):
        step(rows)
    return before, peak_memory(torch.device("cpu"))


def report(name: str, batch: int, setting: str) -> None:
    """Print one setting's lines."""
    config = load(name, [f"train.batch_size={batch}", *([setting] if setting else [])]).points[0].config
    before, peak = measure(config)
    parts = estimate(config, sizes(config, Surroundings()), "cpu")
    step = parts["activations"] + parts["working"]
    for what, estimated, measured in (("all", sum(parts.values()), peak), ("step", step, peak - before)):
        numbers = f"estimated {estimated / 2**20:7.0f} MiB, measured {measured / 2**20:7.0f} MiB"
        print(f"{setting or 'as it is':36} {what:5} {numbers}, ratio {estimated / measured:.2f}", flush=True)


def main() -> None:
    """Measure every setting in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--experiment", default="demo_caption")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--setting", help="only this one, in this process")
    arguments = parser.parse_args()
    if arguments.setting is not None:
        report(arguments.experiment, arguments.batch, arguments.setting)
        return
    for setting in SETTINGS:
        given = ["--experiment", arguments.experiment, "--batch", str(arguments.batch), "--setting", setting]
        subprocess.run([sys.executable, __file__, *given], check=True)


if __name__ == "__main__":
    main()
