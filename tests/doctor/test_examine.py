"""A valid experiment has no fault, whatever its task; what holds for all points is said once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.doctor.checking import findings_of, problems
from tests.tiny_experiment import write_caption_experiment, write_experiment, write_written_answers
from vlrouting.doctor import FAULT, OK


def test_questions(tiny: Path) -> None:
    findings = findings_of(tiny)
    assert problems(findings) == []
    looked_at = {finding.looked_at for finding in findings}
    assert looked_at == {
        *("data", "images", "batches", "answers", "weights", "features", "scores", "lengths", "memory", "disk"),
        *("run directory", "devices"),
    }


def test_nothing_is_left_behind(tiny: Path) -> None:
    before = sorted(tiny.rglob("*"))
    findings_of(tiny)
    assert sorted(tiny.rglob("*")) == before


def test_captions_and_written_answers(tmp_path: Path) -> None:
    for name, write in (("captions", write_caption_experiment), ("answers", write_written_answers)):
        folder = tmp_path / name
        folder.mkdir()
        write(folder)
        assert [finding for finding in problems(findings_of(folder)) if finding.looked_at != "scores"] == []


def test_pairs_of_images(tmp_path: Path, tiny: Path, shapes_world: Path) -> None:
    data = {"name": "nlvr2", "root": str(shapes_world), "train": "train", "test": "test", "validation": None}
    data |= {"prepare": "shapes", "min_answer_count": 1}
    sections = yaml.safe_load((tiny / "tiny.yaml").read_text())
    (tiny / "tiny.yaml").write_text(yaml.safe_dump({**sections, "data": data}))
    findings = findings_of(tiny, f"vision.cache_dir={tmp_path / 'features'}")
    assert problems(findings) == []
    assert any("2 of them" in f.found or "at most 21 tokens" in f.found for f in findings if f.looked_at == "lengths")


def test_a_finding_of_several_points_comes_once_with_their_names(tmp_path: Path) -> None:
    grid = {"bottleneck.routing": ["none", "mul"], "train.batch_size": [8, 100]}
    write_experiment(tmp_path, sweep={"grid": grid})
    (fault,) = problems(findings_of(tmp_path))
    assert fault.level == FAULT and fault.looked_at == "batches"
    assert fault.points == ("routing=none,batch_size=100", "routing=mul,batch_size=100")
    assert fault.remedy.startswith("set train.batch_size to at most 48")
    shared = [f for f in findings_of(tmp_path, "train.batch_size=8") if f.looked_at == "data"]
    assert shared and all(f.level == OK and not f.points for f in shared)


def test_a_check_that_fails_is_told_and_stops_no_other(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("no such luck")

    monkeypatch.setattr("vlrouting.doctor.memory._of_point", fail)
    findings = findings_of(tiny)
    (told,) = [f for f in findings if f.level != OK]
    assert told.looked_at == "doctor" and "'fits' failed (RuntimeError: no such luck)" in told.found
    assert "disk" in {f.looked_at for f in findings}


def test_a_plugin_that_cannot_be_imported(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tiny)
    (tiny / "doctors_broken_plugin.py").write_text("import nothing_of_that_name")
    (fault,) = problems(findings_of(tiny, "plugins=[doctors_broken_plugin]"))
    assert fault.looked_at == "plugins" and "nothing_of_that_name" in fault.found


def test_importing_it_and_what_nodes_look_at_load_nothing_heavy(tiny: Path) -> None:
    code = f"""
import sys, time
from pathlib import Path
from vlrouting.experiment import load
from vlrouting.doctor import node_findings
config = load({str(tiny / "tiny.yaml")!r}).points[0].config
began = time.perf_counter()
findings = node_findings(config, Path({str(tiny)!r}), {{}})
assert time.perf_counter() - began < 1
assert findings and not [f for f in findings if f.level == "fault"], findings
heavy = {{"torch", "lightning", "transformers", "timm", "torchmetrics", "PIL"}} & set(sys.modules)
assert not heavy, heavy
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
