"""What is said about files that are not there, and that finding out needs no torch."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.data.datasets.official_files import missing_sentences, write_world
from vlrouting.config import DATASETS, DataConfig, SplitConfig, check
from vlrouting.data.datasets.presence import answers_path
from vlrouting.data.datasets.read import read_splits
from vlrouting.data.datasets.registry import RECIPES, known_splits, recipe_of
from vlrouting.data.example import DataError


def test_a_complete_world_lacks_nothing(tmp_path: Path) -> None:
    data = write_world(tmp_path)
    assert missing_sentences(replace(data, validation="test2015")) == []
    assert answers_path(data) == tmp_path / "trainval_label2ans.json"
    assert {name: len(examples) for name, examples in read_splits(data).items()} == {"train2014": 16, "val2014": 16}


def test_all_missing_files_are_reported(tmp_path: Path) -> None:
    data = DataConfig(root=str(tmp_path), answers="trainval_label2ans.json")
    sentences = missing_sentences(data)
    names = ("v2_OpenEnded_mscoco_{}_questions.json", "v2_mscoco_{}_annotations.json", "{}")
    for part in [name.format(split) for split in ("train2014", "val2014") for name in names]:
        assert sum(f"{tmp_path / part} is missing" in sentence for sentence in sentences) == 1, part
    assert any("data.answers" in sentence for sentence in sentences)
    assert all(f"vlrouting data fetch vqav2 --root {tmp_path}" in sentence for sentence in sentences)
    assert len(sentences) == 7
    with pytest.raises(DataError) as caught:
        read_splits(data)
    assert str(caught.value).splitlines() == sentences
    assert len(missing_sentences(data, ["train2014"], images=False)) == 3


def test_the_folder_of_all_files(tmp_path: Path) -> None:
    data = DataConfig(root=str(tmp_path / "none"))
    first, *files = missing_sentences(data)
    assert str(tmp_path / "none") in first and "there is no folder" in first
    assert len(files) == 6 and all("data fetch" in sentence for sentence in files)
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "none")
    for name, what in (("file", "is a file"), ("link", "is a link to a folder that does not exist")):
        (sentence,) = missing_sentences(replace(data, root=str(tmp_path / name)))
        assert f"{tmp_path / name} {what}" in sentence and "data.root" in sentence


def test_a_file_of_two_splits_is_reported_once(tmp_path: Path) -> None:
    sentences = missing_sentences(DataConfig(root=str(tmp_path), train="karpathy_train", test="karpathy_test"))
    missing = [Path(sentence.partition(" is missing")[0]).name for sentence in sentences]
    assert sorted(missing) == ["karpathy_test.json", "karpathy_train.json", "train2014", "val2014"]
    assert sum("VL-Adapter-datasets" in sentence for sentence in sentences) == 2


def test_missing_image_folder(tmp_path: Path) -> None:
    data = write_world(tmp_path)
    (tmp_path / "val2014").rename(tmp_path / "elsewhere")
    (sentence,) = missing_sentences(data)
    assert f"{tmp_path / 'val2014'} is missing" in sentence and "vlrouting data fetch vqav2" in sentence
    assert missing_sentences(data, images=False) == []
    listed = replace(data, test="mine", splits={"mine": SplitConfig("val2014_list.json")})
    assert missing_sentences(listed) == [sentence.replace("splits.val2014", "splits.mine")]
    own = replace(data, test="mine", splits={"mine": SplitConfig("val2014_list.json", None, "pictures/{img_id}.jpg")})
    (sentence,) = missing_sentences(own)
    assert str(tmp_path / "pictures") in sentence


def test_invalid_split_names(tmp_path: Path) -> None:
    data = replace(write_world(tmp_path), train="trian2014", splits={"val2014": SplitConfig("x.json", None, "{a}.jpg")})
    unknown, template, questions = missing_sentences(data)
    assert "x.json is missing" in questions
    assert "'trian2014'" in unknown and "Did you mean 'train2014'?" in unknown
    assert "data.splits.val2014.images" in template and "placeholders" in template


def test_a_recipe_makes_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = DataConfig(root=str(tmp_path / "none"), prepare="easy_vqa", train="train", validation="val", test="test")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    assert missing_sentences(data) == []
    assert len(missing_sentences(replace(data, test="testt"))) == 1
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    (sentence,) = missing_sentences(data)
    assert 'pip install "vlrouting[demo]"' in sentence


def test_no_torch_is_imported() -> None:
    program = (
        "import sys, vlrouting.data, vlrouting.data.datasets.presence as p; from vlrouting.config import DataConfig; "
        "assert p.missing_files(DataConfig(root='/nowhere')); "
        "print(sorted({'torch', 'lightning', 'PIL', 'requests', 'urllib3'} & {*sys.modules}))"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_the_configuration_knows_the_same_names() -> None:
    assert not [problem for name in DATASETS for problem in check(DataConfig(name=name))]
    assert not [problem for name in RECIPES for problem in check(DataConfig(prepare=name))]
    known = [problem.choices for problem in check(DataConfig(name="?", prepare="?"))]
    assert known == [tuple(DATASETS), tuple(RECIPES)]


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_makes_splits_of_known_datasets(name: str) -> None:
    recipe = recipe_of(DataConfig(prepare=name))
    assert recipe is not None and recipe.SPLITS.keys() <= set(DATASETS)
    for dataset, splits in recipe.SPLITS.items():
        assert known_splits(DataConfig(name=dataset, prepare=name)) == splits
        assert "train" in splits


def test_a_recipe_for_another_dataset(tmp_path: Path) -> None:
    data = DataConfig(name="coco", root=str(tmp_path), prepare="easy_vqa", train="train", test="test")
    (sentence,) = missing_sentences(data)
    assert sentence == "the recipe 'easy_vqa' makes files of vqav2, not of coco (data.name, data.prepare)"
    with pytest.raises(DataError, match="makes files of vqav2"):
        read_splits(data)
    assert not any(tmp_path.iterdir())
