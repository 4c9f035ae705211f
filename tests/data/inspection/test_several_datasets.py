"""Looking at the data of an experiment on several datasets: a subject for each."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.command_line import vlrouting
from tests.tiny_experiment import write_several_datasets
from vlrouting.data.example import DataError
from vlrouting.data.fetch.wanted import wanted_data
from vlrouting.data.inspection.command import check
from vlrouting.data.inspection.subject import of_each_dataset, subjects_of
from vlrouting.experiment import UserError


@pytest.fixture
def file(tmp_path: Path) -> str:
    return str(write_several_datasets(tmp_path, images=6))


def test_a_subject_for_each_dataset(file: str) -> None:
    vqa, captions = subjects_of(file)
    assert (vqa.name, vqa.dataset, vqa.splits) == ("tiny: vqa", "vqa", ("train2014", "val2014"))
    assert (captions.dataset, captions.splits) == ("captions", ("train", "val", "test"))
    assert captions.config is not None and captions.config.task == "captioning"
    assert captions.key_of("data.max_target_tokens") == "datasets.captions.max_target_tokens"
    (only,) = subjects_of(file, splits=["val"])
    assert (only.dataset, only.splits) == ("captions", ("val",))
    assert [subject.dataset for subject in of_each_dataset([vqa, captions, vqa])] == ["vqa", "captions"]
    assert of_each_dataset([vqa, captions], "captions") == [captions]
    with pytest.raises(UserError, match=r"--dataset vqq: .*Did you mean 'vqa'"):
        of_each_dataset([vqa, captions], "vqq")
    with pytest.raises(UserError, match=r"several datasets; .*datasets\.vqa\.root=elsewhere"):
        subjects_of(file, root=Path("elsewhere"))


def test_the_check_looks_at_all_of_them(file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert check(file, print_json=True) is False
    checked = json.loads(capsys.readouterr().out)["checked"]
    assert [(each["name"], each["faults"], each["complete"]) for each in checked] == [
        ("tiny: vqa", 0, True),
        ("tiny: captions", 0, True),
    ]
    (tmp_path / "captions" / "dataset_coco.json").unlink()
    assert check(file, print_json=True) is True
    findings = json.loads(capsys.readouterr().out)["checked"][1]["findings"]
    assert "datasets.captions.splits.train.annotations" in findings[0]["found"]


def test_a_sheet_of_each(file: str, tmp_path: Path) -> None:
    sheet = tmp_path / "sheet.png"
    shown = vlrouting("data", "show", file, "--count", "2", "--out", str(sheet))
    assert (tmp_path / "sheet_vqa.png").is_file() and (tmp_path / "sheet_captions.png").is_file()
    assert "tiny: vqa" in shown.stdout and "tiny: captions" in shown.stdout and not sheet.exists()


def test_what_an_experiment_lacks_is_fetched_for_each(file: str, tmp_path: Path) -> None:
    vqa, captions = wanted_data(file)
    assert (vqa.manifest.dataset, vqa.root, vqa.splits) == ("vqav2", tmp_path / "colors", ("train2014", "val2014"))
    assert (captions.manifest.dataset, captions.splits) == ("coco", ("train", "val", "test"))
    assert [each.splits for each in wanted_data(file, splits=["all"])] == [("all",), ("all",)]
    (one,) = wanted_data("gqa")
    assert (one.root, one.splits) == (Path("data/gqa"), ())
    with pytest.raises(DataError, match="demo_vqa has no official files to fetch"):
        wanted_data("demo_vqa")
