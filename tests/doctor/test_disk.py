"""Room, and leave to write."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path

import pytest

from tests.doctor.checking import findings_of, only_problem, problems
from vlrouting.experiment import RunDirectory

Usage = namedtuple("Usage", "total used free")


def _leave(monkeypatch: pytest.MonkeyPatch, free: int) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: Usage(2**40, 2**40 - free, free))


def test_a_full_disk(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _leave(monkeypatch, 2**20)
    only_problem(findings_of(tiny), "fault", "disk", "1.0 MiB are free", "make room there")
    _leave(monkeypatch, 2**29)
    only_problem(findings_of(tiny), "warning", "disk", "512.0 MiB are free", "make room there")
    _leave(monkeypatch, 2**33)
    assert problems(findings_of(tiny)) == []


def test_it_takes_all_points_and_the_features(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wanted(*overrides: str) -> str:
        (finding,) = [finding for finding in findings_of(tiny, *overrides) if finding.looked_at == "disk"]
        return finding.found

    one = "about 4.4 MiB will be written"
    assert one in wanted(), wanted()
    text = (tiny / "tiny.yaml").read_text()
    (tiny / "tiny.yaml").write_text(text + "sweep: {grid: {seed: [1, 2]}}\n")
    assert "about 8.8 MiB will be written" in wanted(), wanted()
    complete = RunDirectory(tiny / "runs" / "tiny" / "seed=1")
    complete.artifact.mkdir(parents=True)
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        (complete.artifact / name).touch()
    complete.metrics.write_text('{"test/vqa_accuracy": 1.0}')
    complete.update_run(status="complete")
    assert one in wanted(), wanted()
    tuned = ("sweep.tune.grid.train.lr=[1, 2]", "data.validation=train2014")
    assert "about 13.2 MiB will be written" in wanted(*tuned), wanted(*tuned)  # a point and two trials


def test_runs_that_cannot_be_written(tiny: Path) -> None:
    only_problem(findings_of(tiny, runs=Path("/proc/vlrouting")), "fault", "disk", "/proc/vlrouting", "--runs")
    (tiny / "occupied").write_text("a file")
    only_problem(findings_of(tiny, runs=tiny / "occupied"), "fault", "disk", "nothing can be written", "--runs")
