"""Faults of one of several datasets: the finding names the dataset, and the key of its section."""

import shutil
from pathlib import Path

import pytest
import torch

from tests.doctor.checking import experiment_in, findings_of, only_problem, problems
from tests.tiny_experiment import write_several_datasets
from vlrouting.doctor import RunContext, measure
from vlrouting.doctor.sizes import model_size
from vlrouting.metrics.caption_score import CaptionScore


@pytest.fixture(scope="module")
def valid(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """48 questions, 48 captions."""
    folder = tmp_path_factory.mktemp("several")
    write_several_datasets(folder, train={"batch_size": 8})
    return folder


@pytest.fixture
def several(valid: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(CaptionScore, "missing", classmethod(lambda cls, config: {}))  # whether or not there is Java
    shutil.copytree(valid, tmp_path / "tiny")
    file = tmp_path / "tiny" / "tiny.yaml"
    file.write_text(file.read_text().replace(str(valid), str(tmp_path / "tiny")))
    return tmp_path / "tiny"


def test_nothing_is_wrong_with_any_of_them(several: Path) -> None:
    findings = findings_of(several)
    assert problems(findings) == []
    said = {finding.looked_at: finding.found for finding in findings}
    assert {"data of vqa", "data of captions", "features of vqa", "lengths of captions"} <= said.keys()
    assert said["batches"] == "vqa 48 (6 steps), captions 48 (12 steps) training examples: 24 steps an epoch, 10 in all"


def test_a_fault_names_its_dataset_and_the_key_of_its_section(several: Path) -> None:
    too_large = "datasets.captions.batch_size=64"
    only_problem(findings_of(several, too_large), "fault", "batches of captions", f"{too_large[:-3]} to at most 48")
    shared = findings_of(several, "train.batch_size=64")  # captions have a size of their own
    only_problem(shared, "fault", "batches of vqa", "set train.batch_size to at most 48")
    long = findings_of(several, "datasets.captions.max_target_tokens=8000")
    only_problem(long, "warning", "lengths of captions", "datasets.captions.max_target_tokens")


def test_files_that_one_of_them_lacks(several: Path) -> None:
    shutil.rmtree(several / "captions")
    found = problems(findings_of(several))
    assert {finding.looked_at for finding in found} == {"data of captions"}
    assert any("datasets.captions.splits.train.annotations" in finding.found for finding in found)


def test_scores_that_one_of_them_cannot_have(several: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CaptionScore, "missing", classmethod(lambda cls, config: {"CIDEr": "needs Java"}))
    (warning,) = problems(findings_of(several))
    assert (warning.level, warning.looked_at) == ("warning", "scores of captions")


def test_the_features_of_all_have_to_fit_on_the_disk(several: Path) -> None:
    (of_all,) = [f for f in findings_of(several) if f.looked_at == "disk"]
    assert str(several / "colors" / "features") in of_all.found
    assert str(several / "captions" / "features") in of_all.found


def test_the_largest_batch_over_the_datasets_is_measured(several: Path) -> None:
    def measured(*overrides: str) -> str:
        (one,) = [f.found for f in findings_of(several, *overrides, measure=True) if "as measured" in f.found]
        return one

    assert "8 examples of vqa" in measured()
    assert "32 examples of captions" in measured("datasets.captions.batch_size=32")
    config = experiment_in(several).points[0].config
    size = model_size(config, RunContext())
    assert size.images == {"vqa": 1, "captions": 1}
    measure.run_step(config, "captions", size, torch.device("cpu"))
