"""The digest of a split's examples: the same on every machine, another for every change."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from vlrouting.data.content_hash import content_hash
from vlrouting.data.datasets.evenly_spaced import EvenlySpaced
from vlrouting.data.datasets.stored_examples import StoredExamples, pack
from vlrouting.data.example import Example, image_name

ROOT = Path("data/vqa")
EXAMPLE = Example(1, (ROOT / "val/1.jpg",), "is it café?", {"yes": 1.0, "no": 0.3}, ("yes", "no"), answer="yes")
OTHER = replace(EXAMPLE, id=2)


def test_it_does_not_depend_on_where_the_data_lie() -> None:
    moved = [replace(example, images=(Path("/mnt/disk/val/1.jpg"),)) for example in (EXAMPLE, OTHER)]
    assert content_hash([EXAMPLE, OTHER], ROOT) == content_hash(moved, Path("/mnt/disk")) == "973c7776"


@pytest.mark.parametrize(
    "changed",
    [
        {"id": 3},
        {"id": "1"},
        {"images": (ROOT / "val/2.jpg",)},
        {"images": (ROOT / "val/1.jpg", ROOT / "val/2.jpg")},
        {"text": "is it cafe?"},
        {"labels": {"yes": 1.0, "no": 0.6}},
        {"answers": ("yes, no",)},
        {"answer": "no"},
    ],
)
def test_every_change_of_an_example_shows(changed: dict[str, object]) -> None:
    assert content_hash([replace(EXAMPLE, **changed), OTHER], ROOT) != content_hash([EXAMPLE, OTHER], ROOT)  # type: ignore[arg-type]


def test_order_and_number_of_the_examples_show() -> None:
    many = [replace(EXAMPLE, id=number) for number in range(2001)]
    parts = (many, many[::-1], many[:2000], many[:1000], EvenlySpaced(many, 1000), [])
    assert len({content_hash(part, ROOT) for part in parts}) == len(parts)
    assert content_hash(EvenlySpaced(many, 2), ROOT) == content_hash([many[0], many[1000]], ROOT)


@pytest.mark.parametrize(
    ("path", "root", "name"),
    [
        ("data/vqa/val/1.jpg", "data/vqa", "val/1.jpg"),
        ("/a/data/val/1.jpg", "/a/data", "val/1.jpg"),
        ("/mnt/images/val/1.jpg", "data/vqa", "val/1.jpg"),
        ("data/vqa2/val/1.jpg", "data/vqa", "val/1.jpg"),
        ("val/1.jpg", ".", "val/1.jpg"),
        ("/a/b/val/1.jpg", ".", "val/1.jpg"),
        ("1.jpg", "data", "1.jpg"),
    ],
)
def test_the_name_of_an_image(path: str, root: str, name: str) -> None:
    assert image_name(Path(path), Path(root)) == name


def test_stored_examples_have_the_digest_of_a_list(tmp_path: Path) -> None:
    examples = [replace(EXAMPLE, id=number, text=f"is it {number}?") for number in range(2001)]
    stored = StoredExamples(pack(examples, ROOT), ROOT)
    assert content_hash(stored, ROOT) == content_hash(examples, ROOT)
    assert content_hash(EvenlySpaced(stored, 7), ROOT) == content_hash(EvenlySpaced(examples, 7), ROOT)
    assert content_hash(StoredExamples(pack([], ROOT), ROOT), ROOT) == content_hash([], ROOT)
