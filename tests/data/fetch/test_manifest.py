"""The manifests of the package, and what is said about one that is wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.data.fetch.made_archives import source, write_manifest
from vlrouting.config import DATASETS
from vlrouting.data.example import DataError
from vlrouting.data.fetch.manifest import manifest_names, read_manifest
from vlrouting.data.fetch.missing import how_to_fetch

COUNTS = {
    "coco": {("train", "images"): 113_287, ("val", "images"): 5_000, ("test", "images"): 5_000},
    "vqav2": {("train2014", "questions"): 443_757, ("val2014", "questions"): 214_354},
    "gqa": {("testdev_balanced", "questions"): 12_578},
    "nlvr2": {("dev", "statements"): 6_982, ("test1", "statements"): 6_967, ("test2", "statements"): 6_970},
}
"""Official ones, by split."""


@pytest.mark.parametrize("dataset", manifest_names())
def test_it_lists_what_every_split_needs(dataset: str, tmp_path: Path) -> None:
    manifest, known = read_manifest(dataset), DATASETS.load(dataset)
    for name, split in known.splits.items():
        needed = {*known.split_files(name, split), *known.image_folders(tmp_path, name, split)}
        listed = {path for each in manifest.sources for path, splits in each.provides.items() if name in splits}
        assert needed and needed <= listed, name
        assert listed - needed <= {"trainval_label2ans.json"} | ({"val2014"} if name == "karpathy_train" else set()), (
            name
        )
    assert set(manifest.known_splits) == set(known.splits) and set(manifest.default) <= set(known.splits)
    for (split, what), count in COUNTS[dataset].items():
        assert manifest.splits[split][what] == count


@pytest.mark.parametrize("dataset", manifest_names())
def test_a_figure_has_its_origin(dataset: str) -> None:
    manifest = read_manifest(dataset)
    assert set(manifest.licences) == {"annotations", "images"}
    for each in manifest.sources:
        assert bool(each.size or each.sha256) == bool(each.figures_from), each.file
        assert not (each.size and each.about)


def test_every_dataset_of_the_package_has_one() -> None:
    assert set(manifest_names()) == set(COUNTS)
    assert all(read_manifest(name).dataset == name for name in manifest_names())


def test_the_command_for_a_missing_file() -> None:
    for dataset, path, options in (
        ("coco", "dataset_coco.json", "--only annotations"),
        ("coco", "train2014", ""),
        ("coco", "val2017", "--split val2017"),
        ("vqav2", "minival.json", "--file minival.json"),
        ("nlvr2", "dev", "--from FOLDER"),
    ):
        said = how_to_fetch(dataset, Path("a b") / dataset, path)
        assert f"vlrouting data fetch {dataset} --root 'a b/{dataset}' {options}".rstrip() in said
    assert "put it there" in how_to_fetch("of_a_plugin", Path("x"), "y")
    assert "official files" in how_to_fetch("coco", Path("x"), "y")


def change(*keys: Any, to: Any) -> Callable[[Any], None]:
    def apply(content: Any) -> None:
        for key in keys[:-1]:
            content = content[key]
        content[keys[-1]] = to

    return apply


WRONG = {
    "lacks default": lambda content: content.pop("default"),
    "unknown key 'urll'": change("sources", 0, "urll", to="x"),
    "'../x' is no plain path": change("sources", 0, "provides", to={"../x": []}),
    "'/x' is no plain path": change("sources", 0, "provides", to={"/x": []}),
    "'.fetch/x' is no plain path": change("sources", 0, "provides", to={".fetch/x": []}),
    "sources[0].size is no whole number": change("sources", 0, "size", to="13 GB"),
    "sources[0].sha256 is no checksum": change("sources", 0, "sha256", to="ABC"),
    "sources[0].kind is not one of": change("sources", 0, "kind", to="image"),
    "begins with neither http:// nor https://": change("sources", 0, "url", to="file:///etc/passwd"),
    "provide 'a/b' twice": change("sources", 1, "provides", to={"a/b": []}),
    "needs either a url, or the page": change("sources", 0, "page", to="http://x/"),
    "have 2 files named 'a.zip'": change("sources", 1, "file", to="a.zip"),
    "is no .zip archive": change("sources", 1, "provides", to={"b": [], "c": []}),
    "splits.train2014.images is no whole number": change("splits", "train2014", "images", to=-1),
}


@pytest.mark.parametrize("said", WRONG)
def test_what_is_wrong_is_named(said: str, tmp_path: Path) -> None:
    path = write_manifest(
        tmp_path / "m.yaml",
        source("http://x/a.zip", b"a", {"a": ["train2014"]}),
        source("http://x/b.json", b"b", {"b": []}),
    )
    assert read_manifest(path).sources[1].file == "b.json"
    content = yaml.safe_load(path.read_text())
    WRONG[said](content)
    path.write_text(yaml.safe_dump(content))
    with pytest.raises(DataError) as caught:
        read_manifest(path)
    assert said in str(caught.value) and str(path) in str(caught.value)
