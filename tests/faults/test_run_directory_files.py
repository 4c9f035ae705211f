"""Damaged files in a run directory: one sentence by whoever reads them, never a traceback."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.command_line import vlrouting
from tests.config.test_fit import JSON
from vlrouting.config import ExperimentConfig, TrainConfig
from vlrouting.experiment import RunDirectory, UserError, to_yaml, write_json_atomic
from vlrouting.experiment.attempts import Attempts
from vlrouting.experiment.progress import Progress, read_progress, write_progress
from vlrouting.launch.open_points import still_open
from vlrouting.launch.status import statuses
from vlrouting.report.rows import collect

CONFIG = ExperimentConfig(train=TrainConfig(max_steps=4))
RUN = {
    "status": "complete", "error": None, "swept": {"seed": 1}, "seed": 1, "main_metric": "test/vqa_accuracy",
    "shown_metrics": {"test/vqa_accuracy": "VQA"}, "not_computed": {}, "trained_parameters": 5, "total_parameters": 9,
    "wall_seconds": 1.5, "samples_per_second": 3.0, "device": "cpu", "precision": "32-true", "peak_memory_bytes": 8,
}  # fmt: skip
EVENTS = [
    {"event": "begin", "time": "2024-01-01", "host": "h", "job": None, "group": "g"},
    {"event": "resume", "step": 2},
    {"event": "fail", "host": "h", "job": None, "group": "g", "outcome": "failed", "step": 3, "reason": "r"},
    {"event": "end", "outcome": "failed", "step": 3, "reason": "r"},
]

BOUNDED = settings(
    derandomize=True, max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def make_run(runs: Path) -> RunDirectory:
    """A complete run of the experiment `x`."""
    run = RunDirectory(runs / "x" / "default")
    run.prepare(to_yaml(CONFIG))
    write_json_atomic(run.run_json, RUN)
    write_json_atomic(run.metrics, {"test/vqa_accuracy": 50.0})
    write_progress(run.progress, Progress("training", 1, 4, 0.5, 2.0, 1e9))
    run.attempts.write_text("".join(json.dumps(event) + "\n" for event in EVENTS))
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        (run.artifact / name).parent.mkdir(exist_ok=True)
        (run.artifact / name).write_text("{}")
    return run


def read_everything(run: RunDirectory) -> None:
    """As status, compare and train do; a user error is one sentence that names the file."""
    for read in (run.read_run, run.read_config, run.read_metrics, Attempts(run.attempts).read):
        try:
            read()
        except UserError as error:
            assert str(run.path) in str(error)
            assert "\n" not in str(error) and len(str(error)) < 600
    run.status()
    run.is_complete()
    str(read_progress(run.progress))
    collect(run.path.parent)
    statuses(run.path.parent, ["default"])
    try:
        run.refuse_other_settings(to_yaml(CONFIG))
    except UserError as error:
        assert str(run.path) in str(error)


FILES: dict[str, Callable[[RunDirectory], Path]] = {
    "run.json": lambda run: run.run_json,
    "metrics.json": lambda run: run.metrics,
    "config.yaml": lambda run: run.config,
    "progress.json": lambda run: run.progress,
    "attempts.jsonl": lambda run: run.attempts,
    ".lock.json": lambda run: run.path / ".lock.json",
}


def edited(content: bytes, seed: int) -> bytes:
    """A few bytes flipped, a part cut out or doubled, or the end cut off."""
    draw = random.Random(seed)
    changed = bytearray(content)
    for _ in range(draw.randint(1, 3)):
        at, until = sorted((draw.randrange(len(changed) + 1), draw.randrange(len(changed) + 1)))
        kind = draw.randrange(4)
        if kind == 0 and at < len(changed):
            changed[at] ^= 1 << draw.randrange(8)
        elif kind == 1:
            del changed[at:until]
        elif kind == 2:
            changed[at:at] = changed[at:until]
        else:
            del changed[at:]
    return bytes(changed)


@pytest.mark.parametrize("name", FILES)
def test_random_edits(tmp_path: Path, name: str) -> None:
    run = make_run(tmp_path)
    file = FILES[name](run)
    original = file.read_bytes() if file.exists() else b'{"pid": 1, "host": "h"}'
    read_everything(run)
    for seed in range(30):
        file.write_bytes(edited(original, seed))
        read_everything(run)


NASTY = {
    "deep": b'{"status": ' + b"[" * 100_000,
    "deep and closed": b"[" * 100_000 + b"]" * 100_000,
    "deep yaml": b"a: " + b"{b: " * 3000,
    "digits": b'{"status": ' + b"1" * 10_000 + b"}",
    "not a number": b'{"status": NaN, "test/vqa_accuracy": Infinity, "step": -Infinity}',
    "surrogate": b'{"status": "\\ud800", "phase": "\\ud800", "event": "\\ud800", "seed": "\\ud800"}',
    "empty": b"",
    "zeros": b"\0" * 100,
    "utf-16": '{"status": "complete"}'.encode("utf-16"),
    "list": b"[1, 2]",
    "null": b"null",
    "mixed keys": b"seed: [{1: a, b: 2}]\nmodel: {visual_input: {1: 2}}\n? [1, 2]\n: 3\n",
    "sets": b"seed: !!set {a, b}\ndata: 2024-01-31\n",
    "bomb": b"a: &a [x, x, x, x, x, x, x, x, x]\n"
    + b"".join(b"%c: &%c [%s]\n" % (n + 1, n + 1, b", ".join([b"*%c" % n] * 9)) for n in range(97, 110)),
    "tag": b"seed: !!python/object/apply:os.system [false]\n",
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("content", NASTY, ids=list(NASTY))
def test_nasty_content(tmp_path: Path, name: str, content: str) -> None:
    run = make_run(tmp_path)
    FILES[name](run).write_bytes(NASTY[content])
    read_everything(run)


@pytest.mark.parametrize("name", FILES)
def test_a_folder_in_place_of_a_file(tmp_path: Path, name: str) -> None:
    run = make_run(tmp_path)
    FILES[name](run).unlink(missing_ok=True)
    FILES[name](run).mkdir()
    read_everything(run)


@settings(
    derandomize=True, max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.sampled_from([*RUN, "other"]), JSON)
def test_any_json_in_any_field_of_run_json(tmp_path: Path, field: str, value: Any) -> None:
    run = RunDirectory(tmp_path / "x" / "default")
    if not run.config.exists():
        make_run(tmp_path)
    run.run_json.write_text(json.dumps({**RUN, field: value}))
    read_everything(run)


@settings(
    derandomize=True, max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.sampled_from(EVENTS), st.sampled_from(sorted({key for event in EVENTS for key in event})), JSON)
def test_any_json_in_any_field_of_an_attempt(tmp_path: Path, event: dict[str, Any], field: str, value: Any) -> None:
    attempts = Attempts(tmp_path / "attempts.jsonl")
    attempts.path.write_text(
        "".join(json.dumps(line) + "\n" for line in [*EVENTS[:1], {**event, field: value}, EVENTS[3]])
    )
    for attempt in attempts.read():
        assert isinstance(attempt.first_step, int) and isinstance(attempt.reason, str)


@settings(
    derandomize=True, max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.sampled_from(["phase", "step", "total", "loss", "steps_per_second", "updated", "more"]), JSON)
def test_any_json_in_any_field_of_the_progress(tmp_path: Path, field: str, value: Any) -> None:
    file = tmp_path / "progress.json"
    good = {"phase": "training", "step": 1, "total": 4, "loss": 0.5, "steps_per_second": 2.0, "updated": 1e9}
    file.write_text(json.dumps({**good, field: value}))
    found = read_progress(file)
    assert found is None or (str(found) and isinstance(found.step, int))


@pytest.mark.parametrize("command", ["status", "compare", "cancel", "train"])
@pytest.mark.parametrize("name", ["run.json", "config.yaml", "metrics.json", "progress.json", "attempts.jsonl"])
def test_the_commands(tmp_path: Path, command: str, name: str) -> None:
    (tmp_path / "x.yaml").write_text("train: {max_steps: 4}\ndata: {root: nowhere}\n")
    run = make_run(tmp_path / "runs")
    FILES[name](run).write_bytes(NASTY["deep"])
    done = vlrouting(command, "x.yaml", cwd=tmp_path)
    assert "Traceback" not in done.stderr
    if command in ("status", "compare") and name in ("run.json", "metrics.json", "config.yaml"):
        assert name in (done.stdout + done.stderr).replace("\n", "")
    if command == "train":
        assert done.returncode == 2


def test_a_damaged_configuration_is_told_before_anything_starts(tmp_path: Path) -> None:
    from vlrouting.experiment import Experiment, Point

    run = make_run(tmp_path)
    point = Point("default", CONFIG, {})
    experiment = Experiment("x", (point,), tmp_path / "x.yaml")
    run.config.write_bytes(NASTY["bomb"])
    with pytest.raises(UserError, match=r"config\.yaml is damaged: .*rm -r"):
        still_open(experiment, [point], tmp_path)
    shutil.rmtree(run.path)
    assert still_open(experiment, [point], tmp_path) == [point]


@pytest.mark.parametrize(
    ("field", "value"),
    [("status", 3), ("status", "done"), ("swept", []), ("wall_seconds", "1"), ("wall_seconds", -1), ("seed", 1.5),
     ("main_metric", ["a"]), ("shown_metrics", {"a": 1}), ("not_computed", "x"), ("error", {}),
     ("metric_variant", 1), ("code_version", 1), ("data_hash", []), ("weights", "x")],
)  # fmt: skip
def test_a_field_of_another_type_is_named(tmp_path: Path, field: str, value: Any) -> None:
    run = make_run(tmp_path)
    write_json_atomic(run.run_json, {**RUN, field: value})
    with pytest.raises(UserError, match=rf"run\.json is damaged: '{field}': "):
        run.read_run()
    assert not run.is_complete()
    assert [row.status for row in collect(run.path.parent)] == ["unreadable"]
