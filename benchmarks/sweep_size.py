"""How long checking a sweep takes, by its number of points.

    python benchmarks/sweep_size.py

Prints seconds, and the time per point as a ratio to that of the smallest sweep: 1 or less is linear.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from vlrouting.experiment import load
from vlrouting.training.user_errors import missing_files_of

SIZES = (100, 1_000, 10_000)
REPEATS = 3
EXPERIMENT = """\
data: {{root: data/shapes, prepare: shapes, train: train, test: test}}
train: {{max_steps: 10}}
sweep:
  cases: {{lora: {{bottleneck.kind: lora}}, adapter: {{bottleneck.kind: adapter}}}}
  grid: {{bottleneck.routing: [none, add, mul, expand, gram], seed: {seeds}}}
"""


def seconds(points: int) -> float:
    """The fastest of some checks, as `vlrouting validate` does them."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "sweep.yaml"
        file.write_text(EXPERIMENT.format(seeds=list(range(points // 10))))
        times = []
        for _ in range(REPEATS):
            started = time.perf_counter()
            found = load(str(file), check_files=missing_files_of)
            times.append(time.perf_counter() - started)
            assert len(found.points) == points
    return min(times)


def main() -> None:
    """Measure every size."""
    first = 0.0
    for points in SIZES:
        taken = seconds(points)
        first = first or taken / points
        print(f"{points:>7,} points: {taken:7.3f} s, per point {taken / points / first:.2f} times that of {SIZES[0]}")


if __name__ == "__main__":
    main()
