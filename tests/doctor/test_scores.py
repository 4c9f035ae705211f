"""Programs that the caption scores need."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.doctor.checking import findings_of, problems
from tests.tiny_experiment import write_caption_experiment

pytestmark = pytest.mark.skipif(shutil.which("java") is None, reason="needs Java")


def test_java_and_the_jars(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_caption_experiment(tmp_path)
    assert problems(findings_of(tmp_path)) == []
    (jars,) = problems(findings_of(tmp_path, "evaluate.spice=true"))
    assert (jars.level, jars.looked_at) == ("warning", "scores")
    assert "SPICE cannot be computed" in jars.found
    monkeypatch.setenv("PATH", str(tmp_path))
    lacking = problems(findings_of(tmp_path))
    assert {(finding.level, finding.looked_at) for finding in lacking} == {("warning", "scores")}
    assert any("METEOR" in finding.found and "install Java" in finding.found for finding in lacking)
