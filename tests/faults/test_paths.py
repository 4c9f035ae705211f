"""Names in data files that lead out of the data root: refused, with the record."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.faults.data_formats import Format, formats, replaced
from vlrouting.backbones.location import BackboneError, package_problem, resolve_package_path
from vlrouting.config import DataConfig, SplitConfig
from vlrouting.data.datasets.read import read_splits
from vlrouting.data.example import DataError

NAMES = ["../../x", "a/../../../x", "/etc/passwd", "..", "a\0b", "a\nb"]
FIELDS: dict[str, tuple[str, tuple[Any, ...], str, str | None]] = {
    "karpathy's file name": ("karpathy", ("images", 1, "filename"), "cocoid", None),
    "karpathy's folder": ("karpathy", ("images", 1, "filepath"), "cocoid", None),
    "an official file name": ("captions", ("images", 1, "file_name"), "id", None),
    "an image id of GQA": ("gqa", ("20000101", "imageId"), "question 20000101", None),
    "a name in a list": ("list", (1, "img_id"), "question_id 5000001", "{img_id}.jpg"),
    "a folder of NLVR2": ("nlvr2", (1, "directory"), "line 2", "{directory}/{pair}-img{side}.png"),
    "the images of all of VQAv2": ("vqav2", ("data_subtype",), "question_id", "{subtype}/{image_id}.png"),
}
"""What names an image -> format, where it is, how the record is named, a template."""


@pytest.fixture(scope="module")
def known(shapes_world: Path) -> dict[str, Format]:
    return formats(shapes_world)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("field", FIELDS)
def test_a_name_that_leads_out(field: str, name: str, known: dict[str, Format], tmp_path: Path) -> None:
    which, place, record, template = FIELDS[field]
    found = known[which]
    if which == "nlvr2":  # training records have folders
        records = [{**line, "directory": "7"} for line in found.documents["n.json"]]
        found = Format("nlvr2", found.split, {"n.json": records})
    if template is not None:
        split = SplitConfig(found.split.questions, found.split.annotations, template)
        found = Format(found.dataset, split, found.documents, answers=found.answers)
    documents = dict(found.documents)
    for file in documents:
        if file not in ("answers.json", "choices.json"):
            documents[file] = replaced(documents[file], place, name)
    broken = Format(found.dataset, found.split, documents, answers=found.answers)
    broken.write(tmp_path)
    with pytest.raises(DataError, match="leads out of the data root") as caught:
        broken.use(tmp_path, tmp_path / "results")
    assert record in str(caught.value) and str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.fixture
def linked(known: dict[str, Format], tmp_path: Path) -> Path:
    """Karpathy's file in a data root, and a private folder beside it."""
    root = tmp_path / "data"
    known["karpathy"].write(root)
    private = tmp_path / "private"
    private.mkdir()
    (private / "200002.png").write_text("secret")
    return root


def read(root: Path, images: str | None = None) -> list[Path]:
    split = SplitConfig(annotations="k.json") if images is None else SplitConfig(annotations="k.json", images=images)
    data = DataConfig("coco", str(root), train="test", test="test", splits={"test": split})
    return [example.images[0] for example in read_splits(data, images=False)["test"]]


def test_a_linked_image(linked: Path) -> None:
    (linked / "images" / "test").mkdir(parents=True)
    (linked / "images" / "test" / "200001.png").symlink_to("200003.png")  # inside: as good as a file
    assert len(read(linked)) == 3
    (linked / "images" / "test" / "200002.png").symlink_to(linked.parent / "private" / "200002.png")
    with pytest.raises(DataError, match=r"k\.json: cocoid 200002: .*link to .*private/200002\.png.*data\.splits\.test"):
        read(linked)


def test_a_linked_folder(linked: Path) -> None:
    """A folder below the root may be linked, as docs/data.md says; one that is deeper only where it is named."""
    (linked / "images").mkdir()
    (linked / "images" / "test").symlink_to(linked.parent / "private")
    with pytest.raises(DataError, match=r"k\.json: cocoid 200001: .*link to .*private"):
        read(linked)
    assert len(read(linked, "images/test/{file_name}")) == 3
    assert len(read(linked, f"{linked.parent}/private/{{file_name}}")) == 3
    (linked / "images" / "test").unlink()
    (linked / "images").rmdir()
    (linked.parent / "private" / "test").mkdir()
    (linked / "images").symlink_to(linked.parent / "private")
    assert read(linked)[0] == linked / "images" / "test" / "200001.png"
    link = linked.parent / "private" / "test" / "200001.png"
    link.symlink_to("/etc/passwd")
    with pytest.raises(DataError, match="link to /etc/passwd"):
        read(linked)


def test_a_linked_root(linked: Path) -> None:
    (linked.parent / "root").symlink_to(linked)
    (linked / "images" / "test").mkdir(parents=True)
    assert len(read(linked.parent / "root")) == 3


@pytest.mark.parametrize("inside", ["../../etc/passwd", "models/../../x", "/etc/passwd", ".."])
def test_a_package_path_that_leads_out(inside: str) -> None:
    source = f"package:json/{inside}"
    problem = package_problem(source)
    assert problem is not None and source in problem.message and problem.remedy
    with pytest.raises(BackboneError, match="leads out of the installed package"):
        resolve_package_path(source)
    assert resolve_package_path("package:json/decoder.py") == Path(json.__file__).parent / "decoder.py"
