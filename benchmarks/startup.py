"""How long commands take to say no, and what `predict` imports before it answers: this checkout, and earlier ones.

    git worktree add /tmp/before COMMIT
    python benchmarks/startup.py --package /tmp/before

Trains two tiny artifacts first, with the first checkout. Every command runs in a process of its own, the checkouts in
turn, and the fastest of the rounds counts: other work on the machine only adds time. Times are CPU seconds of the
process and, in brackets, seconds on the clock. Modules are counted by `python -X importtime`.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
TRAIN = """
import sys
from pathlib import Path
from tests.tiny_experiment import write_caption_experiment, write_experiment
for name, write in (("questions", write_experiment), ("captions", write_caption_experiment)):
    folder = Path(sys.argv[1]) / name
    folder.mkdir()
    write(folder, train={"max_steps": 1, "validate_every_steps": None})
"""
PRELOADED = "vlrouting.launch.preloaded"
COMMANDS: dict[str, Sequence[str]] = {
    "--help": ["--help"],
    "predict, no such artifact": ["predict", "nowhere", "{image}", "what?"],
    "predict, no such image": ["predict", "{questions}/artifact", "none.png", "what?"],
    "predict, no question": ["predict", "{questions}/artifact", "{image}", ""],
    "predict, for captions": ["predict", "{captions}/artifact", "{image}", "what?"],
    "caption, no such image": ["caption", "{captions}/artifact", "none.png"],
    "evaluate, nothing trained": ["evaluate", "{root}/questions/tiny.yaml", "--runs", "{root}/none"],
    "score, no such file": ["score", "none.jsonl"],
    "score, no captions": ["score", "{questions}/predictions.jsonl"],
    "compare, no runs": ["compare", "nothing"],
    "predict, an answer": ["predict", "{questions}/artifact", "{image}", "what color is it ?"],
    "caption": ["caption", "{captions}/artifact", "{image}"],
}


@dataclass(frozen=True)
class Took:
    """Seconds of one process."""

    cpu: float
    clock: float


def run(
    package: Path, arguments: Sequence[str], folder: Path, *options: str, module: str = "vlrouting.cli"
) -> tuple[Took, str]:
    """Run `vlrouting ARGUMENTS` of a checkout, or another module; what it took and printed on standard error."""
    environment = {**os.environ, "PYTHONPATH": str(package), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    command = [sys.executable, *options, "-m", module, *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    clock, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    return Took(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, clock), done.stderr


def fastest(
    packages: Sequence[Path], arguments: Sequence[str], folder: Path, rounds: int, module: str = "vlrouting.cli"
) -> list[Took]:
    """Of each checkout the round with the least CPU time."""
    found: list[list[Took]] = [[] for _ in packages]
    for _ in range(rounds):
        for took, package in zip(found, packages, strict=True):
            took.append(run(package, arguments, folder, module=module)[0])
    return [min(took, key=lambda each: each.cpu) for took in found]


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--package", type=Path, action="append", default=[], help="another checkout, to compare with")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    packages = [*(path.resolve() for path in options.package), REPOSITORY]
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        environment = {**os.environ, "PYTHONPATH": str(packages[0])}
        subprocess.run([sys.executable, "-c", TRAIN, name], cwd=packages[0], env=environment, check=True)
        for folder in ("questions", "captions"):
            run(packages[0], ["train", "tiny.yaml"], root / folder)
        places = {which: str(root / which / "runs" / "tiny" / "default") for which in ("questions", "captions")}
        image = min((root / "questions" / "data" / "val2014").iterdir())
        names = " | ".join(package.name for package in packages)
        print(f"| command | {names} | ratio |\n|---|{'--:|' * (len(packages) + 1)}")
        for title, command in COMMANDS.items():
            arguments = [part.format(**places, root=root, image=image) for part in command]
            show(title, fastest(packages, arguments, root, options.rounds))
        show("imports of a sweep's processes", fastest(packages, [], root, options.rounds, PRELOADED))
        answer = [part.format(**places, image=image) for part in COMMANDS["predict, an answer"]]
        modules = [run(package, answer, root, "-X", "importtime")[1].count("import time:") for package in packages]
        print(f"| modules that an answer imports | {' | '.join(map(str, modules))} | {modules[-1] / modules[0]:.2f} |")


def show(title: str, took: Sequence[Took]) -> None:
    """A line of the table; the ratio is that of the CPU times, last to first."""
    cells = " | ".join(f"{each.cpu:.2f} s ({each.clock:.1f} s)" for each in took)
    print(f"| {title} | {cells} | {took[-1].cpu / took[0].cpu:.2f} |", flush=True)


if __name__ == "__main__":
    main()
