"""Tests the tests: applies one mutation of `tools/mutations` after the other, and says which no test notices.

    python -m tools.mutants --jobs 2 --fast           # the tests beside the mutated file or that import it, golden runs
    python -m tools.mutants --only after.py           # one file's mutations, with the rest of `make test` behind

Results are JSON lines; those that are there are not computed again. A test that fails without the mutation too notices
nothing: run `make test` first. Linux only: each run is forked from a process that has imported torch already.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import Queue

from tools.mutations import MUTATIONS, Mutation

REPOSITORY = Path(__file__).parents[1]
RESULTS = REPOSITORY / "build" / "mutants.jsonl"
_HERE = "not gpu and not slurm and not documents"
QUICK, SLOW = f"not slow and {_HERE}", f"slow and {_HERE}"
GOLDEN = ("tests/golden", "tests/training/test_every_option.py")
"""Notice changes of what a run computes."""
FAULTY = ("backbones", "config", "data", "experiment", "launch", "models", "prediction", "training")
"""Packages that `tests/faults` asks through the command line, without importing their modules."""
PRELOADED = (
    "vlrouting.cli",
    "vlrouting.launch.worker",
    "vlrouting.report.html",
    "tests.golden.rewrite",
    "tests.tiny_models",
)
"""Bring in every library; the repository's own modules are imported anew, with the mutation in one of them."""
SECONDS = {"quick": 600, "rest": 3600}
"""Time limits: a mutation that never ends is noticed."""
MOST_BYTES = 6 << 30
"""Of memory: a mutation must not fill that of the machine."""
_FAILED = re.compile(r"^(?:FAILED|ERROR) (\S+)", re.MULTILINE)


@dataclass(frozen=True)
class Result:
    """What became of one mutation."""

    path: str
    old: str
    new: str
    breaks: str
    outcome: str
    """noticed (also by a crash), survived, timeout (which counts as noticed), or unknown where pytest itself failed."""
    test: str
    """The first that failed."""
    seconds: float


def tests_of(path: str, root: Path = REPOSITORY) -> list[list[str]]:
    """Test files for a source file, in the order in which they are run: those named after it, those beside them, those
    that import it, those of faults, golden runs."""
    source = Path(path)
    mirrored = Path("tests", *source.parts[1:-1])
    parent, _, name = ".".join(source.with_suffix("").parts).removesuffix(".__init__").rpartition(".")
    importing = re.compile(rf"\b{re.escape(parent)}(\.| import .*\b){re.escape(name)}\b")
    every = sorted(file.relative_to(root) for file in (root / "tests").rglob("test_*.py"))
    files = [file for file in every if "slurm" not in file.parts[1]]
    named = [file for file in files if file.parent == mirrored and file.stem.startswith(f"test_{source.stem}")]
    named += [file for file in files if file.parts[1] == "faults" and source.stem in file.stem]
    beside = [file for file in files if file.parent == mirrored and len(mirrored.parts) > 1]
    imported = [file for file in files if importing.search((root / file).read_text(encoding="utf-8"))]
    computing = ("models", "bottleneck", "backbones", "tasks", "training", "config", "data", "routing", "transforms")
    golden = [Path(test) for test in GOLDEN if source.parts[1].removesuffix(".py") in computing]
    faults = [file for file in files if file.parts[1] == "faults" and source.parts[1] in FAULTY]
    stages: list[list[str]] = []
    last = golden[1:]  # takes longest
    for group in (named, beside, imported, golden[:1], faults, last):
        known = {file for stage in stages for file in stage} | {str(file) for file in last if group is not last}
        if new := [str(file) for file in group if str(file) not in known]:
            stages.append(new)
    return stages


def run_pytest(copy: Path, arguments: Sequence[str], seconds: float) -> tuple[int | None, str]:
    """Exit status (None past the time limit) and output of pytest, in a copy of the repository."""
    output = copy.with_suffix(".out")
    child = os.fork()
    if child == 0:
        try:
            _be_pytest(copy, arguments, output)
        finally:
            os._exit(70)
    end = time.monotonic() + seconds
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        if time.monotonic() > end:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return None, output.read_text(errors="replace")
        time.sleep(0.05)
    return os.waitstatus_to_exitcode(status), output.read_text(errors="replace")


def _be_pytest(copy: Path, arguments: Sequence[str], output: Path) -> None:
    import pytest

    os.setsid()
    resource.setrlimit(resource.RLIMIT_DATA, (MOST_BYTES, MOST_BYTES))
    with output.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.chdir(copy)
    os.environ["PYTHONPATH"] = str(copy)
    sys.dont_write_bytecode = False  # the next mutation compiles one file only
    for name in [name for name in sys.modules if name.partition(".")[0] in ("vlrouting", "tests", "tools")]:
        del sys.modules[name]
    sys.path[:] = [str(copy), *(entry for entry in sys.path if entry not in ("", str(REPOSITORY)))]
    status = pytest.main(
        ["-x", "-q", "--tb=no", "-p", "no:cacheprovider", "-o", "faulthandler_timeout=100", *arguments]
    )
    sys.stdout.flush()
    os._exit(int(status))


def examine(mutation: Mutation, copy: Path, fast: bool) -> Result:
    """Run the tests on one mutation, the likeliest first, until one fails."""
    file, started = copy / mutation.path, time.monotonic()
    before = file.read_text(encoding="utf-8")
    phases = [([*files, "-m", QUICK], SECONDS["quick"]) for files in tests_of(mutation.path, copy)]
    if not fast:
        phases += [(["tests", "-m", QUICK], SECONDS["rest"]), (["tests", "-m", SLOW], SECONDS["rest"])]
    outcome, test = "survived", ""
    try:
        file.write_text(mutation.applied_to(before), encoding="utf-8")
        for arguments, seconds in phases:
            status, output = run_pytest(copy, arguments, seconds)
            first = _FAILED.search(output)
            test = first[1] if first else ""
            outcome = {None: "timeout", 0: "survived", 1: "noticed", 2: "noticed", 5: "survived"}.get(
                status, "noticed" if status is not None and status < 0 else "unknown"
            )
            if outcome != "survived":
                break
    finally:
        file.write_text(before, encoding="utf-8")
    return Result(**asdict(mutation), outcome=outcome, test=test, seconds=round(time.monotonic() - started, 1))


def make_copy(parent: Path, number: int) -> Path:
    """The repository's files as they are, committed or not, but for what git ignores."""
    copy = parent / f"copy-{number}"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY, capture_output=True, text=True, check=True,
    )  # fmt: skip
    for name in filter(None, listed.stdout.split("\0")):
        if (REPOSITORY / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(REPOSITORY / name, copy / name)
    return copy


def main() -> None:
    """Entry point."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fast", action="store_true", help="only the tests that are near to the mutated file")
    parser.add_argument("--jobs", type=int, default=1, help="mutations at a time")
    parser.add_argument("--only", default="", help="pattern that is found in the path")
    parser.add_argument("--results", type=Path, default=RESULTS)
    options = parser.parse_args()
    chosen = [mutation for mutation in MUTATIONS if re.search(options.only, mutation.path)]
    for mutation in chosen:
        mutation.applied_to((REPOSITORY / mutation.path).read_text(encoding="utf-8"))
    options.results.parent.mkdir(parents=True, exist_ok=True)
    options.results.touch()
    known = [Result(**json.loads(line)) for line in options.results.read_text(encoding="utf-8").splitlines()]
    done = {(result.path, result.old, result.new) for result in known}
    os.environ.update(OMP_NUM_THREADS="1", HF_HUB_OFFLINE="1")  # which libraries read when they are imported
    for name in PRELOADED:
        importlib.import_module(name)
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(options.jobs) as pool:
        copies: Queue[Path] = Queue()
        for number in range(options.jobs):
            copies.put(make_copy(Path(folder), number))

        def work(mutation: Mutation) -> Result:
            copy = copies.get()
            try:
                return examine(mutation, copy, options.fast)
            finally:
                copies.put(copy)

        open_ones = [mutation for mutation in chosen if (mutation.path, mutation.old, mutation.new) not in done]
        random.Random(0).shuffle(open_ones)  # what is done so far is a fair sample
        for number, future in enumerate(as_completed([pool.submit(work, each) for each in open_ones]), start=1):
            result = future.result()
            with options.results.open("a", encoding="utf-8") as file:
                file.write(json.dumps(asdict(result)) + "\n")
            print(
                f"{number}/{len(open_ones)} {result.outcome} {result.seconds:.0f}s {result.path}: {result.breaks}",
                flush=True,
            )
            known.append(result)
    summarize(known)


def summarize(results: Sequence[Result]) -> None:
    """Print the survivors, and the share of what was noticed."""
    for outcome in ("timeout", "unknown", "survived"):
        for result in results:
            if result.outcome == outcome:
                print(f"{outcome}: {result.path}: {result.breaks} ({result.old!r} -> {result.new!r})")
    noticed = sum(result.outcome in ("noticed", "timeout") for result in results)
    print(f"{noticed} of {len(results)} noticed ({100 * noticed / max(1, len(results)):.1f}%)")


if __name__ == "__main__":
    main()
