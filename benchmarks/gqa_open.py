"""Time and memory of opening GQA's training file, and the memory that four forked workers copy.

    python benchmarks/gqa_open.py --questions 1000000

Writes a synthetic file of the original size (943,000 balanced training questions, about 1 KB each), opens it in a new
process and lets each worker read every example. `--list` stores the examples as a list of Python objects, to compare
with the packed columns.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import tempfile
import time
from collections.abc import Sequence
from multiprocessing import get_context
from multiprocessing.queues import SimpleQueue
from pathlib import Path

from vlrouting.config import SplitConfig
from vlrouting.data.datasets.gqa import read_split
from vlrouting.data.example import Example

IMAGES = 72_000
"""Number of images in the original training set."""
ANSWERS = 1_842
WORKERS = 4
_MB = 1 << 20
_examples: Sequence[Example] = ()


def write_questions(path: Path, questions: int) -> None:
    """Write a file in the official format, record by record."""
    draw = random.Random(0)
    with path.open("w", encoding="utf-8") as file:
        for number in range(questions):
            record = json.dumps(_record(number, draw))
            file.write(f'{"{" if number == 0 else ", "}"{number:08d}": {record}')
        file.write("}")


def _record(number: int, draw: random.Random) -> dict[str, object]:
    thing, other, answer = (f"thing{draw.randrange(2_000)}" for _ in range(3))
    objects = {str(position): str(draw.randrange(10**7)) for position in range(2)}
    program = [("select", thing), ("relate", f"{other},to the left of,s ({number})"), ("query", "name")]
    return {
        "semantic": [
            {"operation": operation, "dependencies": [position - 1] if position else [], "argument": argument}
            for position, (operation, argument) in enumerate(program)
        ],
        "entailed": [f"{draw.randrange(10**8):08d}" for _ in range(3)],
        "equivalent": [f"{number:08d}"],
        "question": f"What is the {thing} to the left of the {other} that is near number {number}?",
        "imageId": str(2_000_000 + draw.randrange(IMAGES)),
        "isBalanced": True,
        "groups": {"global": thing, "local": f"10q-{thing}_{other}"},
        "answer": f"answer{draw.randrange(ANSWERS)}",
        "semanticStr": " -> ".join(f"{operation}: {argument}" for operation, argument in program),
        "annotations": {"answer": {"0": objects["0"]}, "question": objects, "fullAnswer": objects},
        "types": {"detailed": "relS", "semantic": "rel", "structural": "query"},
        "fullAnswer": f"The {thing} to the left of the {other} is {answer}.",
    }


def measure(path: Path, as_list: bool) -> None:
    """Open the file, fork the workers, and print time and memory. Run it in a separate process."""
    global _examples
    start = time.perf_counter()
    opened = read_split(path.parent, "train", SplitConfig(path.name))
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"opened {len(opened):,} questions in {seconds:.1f} s, peak memory {peak:,.0f} MB, now {_private():,.0f} MB")
    _examples = list(opened) if as_list else opened
    if as_list:
        print(f"as a list of objects: {_private():,.0f} MB")
    for worker, (before, after) in enumerate(_in_workers(), start=1):
        print(
            f"worker {worker}: private memory {before:,.0f} MB at its start, {after:,.0f} MB after reading everything"
        )


def _in_workers() -> list[tuple[float, float]]:
    """Private memory in MB of each worker, before and after reading every example."""
    context = get_context("fork")
    results: SimpleQueue[tuple[float, float]] = context.SimpleQueue()
    workers = [context.Process(target=_work, args=(results,)) for _ in range(WORKERS)]
    for worker in workers:
        worker.start()
    found = [results.get() for _ in workers]
    for worker in workers:
        worker.join()
    return found


def _work(results: SimpleQueue[tuple[float, float]]) -> None:
    before = _private()
    answered = sum(bool(example.labels) for example in _examples)
    assert answered == len(_examples)
    results.put((before, _private()))


def _private() -> float:
    """Memory in MB that this process does not share with others."""
    lines = Path("/proc/self/smaps_rollup").read_text(encoding="ascii").splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Private_")) / 1024


def main() -> None:
    """Write the file and measure in a new process."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--questions", type=int, default=1_000_000)
    parser.add_argument("--list", action="store_true", help="keep the examples as a list of objects")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train_balanced_questions.json"
        write_questions(path, options.questions)
        print(f"{os.path.getsize(path) / _MB:,.0f} MB of questions in {path.name}")
        process = get_context("spawn").Process(target=measure, args=(path, options.list))
        process.start()
        process.join()
        raise SystemExit(process.exitcode)


if __name__ == "__main__":
    main()
