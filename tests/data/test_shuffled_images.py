"""The control `visual_input: shuffled`."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from vlrouting.data.datasets.stored_examples import StoredExamples, pack
from vlrouting.data.example import DataError, Example
from vlrouting.data.shuffled_images import ShuffledImages, shuffled_images


def example(number: int, *images: str) -> Example:
    return Example(number, tuple(map(Path, images)), "what?", {})


TRAIN = [example(0, "a"), example(1, "a"), example(2, "b"), example(3, "c", "d")]
TEST = [example(4, "a"), example(5, "e"), example(6, "f"), example(7, "g")]


def test_every_image_is_replaced_by_another_of_its_split() -> None:
    found = shuffled_images({"train": TRAIN, "test": TEST}, seed=3)
    assert all(image != other for image, other in found.items())
    for images in ("abcd", "efg"):
        assert {str(found[Path(image)]) for image in images} == set(images)


def test_stored_examples_get_the_same() -> None:
    stored = {
        name: StoredExamples(pack(iter(split), Path("data")), Path("data"))
        for name, split in (("train", TRAIN), ("test", TEST))
    }
    assert shuffled_images(stored, seed=3) == shuffled_images({"train": TRAIN, "test": TEST}, seed=3)


def test_the_seed_decides() -> None:
    many = {"train": [example(n, f"{n}.png") for n in range(50)]}
    assert shuffled_images(many, 1) == shuffled_images(many, 1)
    assert shuffled_images(many, 1) != shuffled_images(many, 2)


def test_the_order_of_the_examples_does_not_matter() -> None:
    assert shuffled_images({"train": TRAIN}, 1) == shuffled_images({"train": TRAIN[::-1]}, 1)


def test_a_split_of_one_image_has_no_other() -> None:
    with pytest.raises(DataError, match="'train' has one image") as error:
        shuffled_images({"train": TRAIN[:2]}, 1)
    assert error.value.problem is not None and error.value.problem.keys == ("model.visual_input",)


def test_the_source_reads_the_other_image() -> None:
    def source(images: list[Path]) -> Tensor:
        return torch.tensor([ord(str(path)) for path in images])

    shuffled = ShuffledImages(source, {Path("a"): Path("b"), Path("b"): Path("a")})  # type: ignore[arg-type]
    assert shuffled([Path("a"), Path("b")]).tolist() == [ord("b"), ord("a")]
