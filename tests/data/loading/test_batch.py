"""Examples to a batch: padding, truncation, targets, and what the image becomes."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from torch import Tensor

from tests.data.datasets.official_files import QUESTIONS
from tests.data.loading.tiny_tokenizer import tiny_tokenizer
from vlrouting.config import DataConfig
from vlrouting.data.example import DataError, Example
from vlrouting.data.images import load_image
from vlrouting.data.loading.batch import IGNORED, Batch, Collate
from vlrouting.data.loading.vocabulary import AnswerVocabulary

VOCABULARY = AnswerVocabulary(("yes", "no"))
DATA = DataConfig(max_text_tokens=19)
CLS, SEP = 2, 3


class Source:
    """Pixels of one colour, or features, from the file's name; picklable."""

    def __init__(self, kind: Literal["pixels", "features"]) -> None:
        self.kind = kind

    def __call__(self, images: Sequence[Path]) -> Tensor:
        shape = (3, 4, 5) if self.kind == "pixels" else (2, 6)
        return torch.full(shape, float(images[0].stem))


def example(number: int, text: str = QUESTIONS[0][0]) -> Example:
    return Example(number, (Path(f"{number}.png"),), text, {"no": 0.6, "Yes": 1.0})


def test_padding_to_the_longest_on_the_right() -> None:
    short, long = "Is this a dog?", "How many birds are there?"
    for side in ("right", "left"):
        collate = Collate(tiny_tokenizer(side), DATA, None, VOCABULARY)
        batch = collate([example(1, short), example(2, long)])
        assert batch["input_ids"].shape == (2, 8) and batch["input_ids"].dtype == torch.int64
        assert batch["attention_mask"].tolist() == [[1] * 7 + [0], [1] * 8]
        assert batch["attention_mask"].dtype == torch.int64
        expected = tiny_tokenizer()([short, long])["input_ids"]
        assert batch["input_ids"].tolist() == [[*expected[0], 0], expected[1]]
        assert collate([example(1, short)])["input_ids"].shape == (1, 7)
        assert len(batch) == 2


def test_truncation_keeps_the_special_tokens() -> None:
    batch = Collate(tiny_tokenizer(), DataConfig(max_text_tokens=5), None, None)([example(1, QUESTIONS[1][0])])
    whole = tiny_tokenizer()(QUESTIONS[1][0])["input_ids"]
    assert batch["input_ids"].tolist() == [[CLS, *whole[1:4], SEP]]


def test_remembered_texts_are_tokenised_once() -> None:
    class Counting:
        pad_token_id = 0

        def __init__(self) -> None:
            self.seen: list[str] = []

        def __call__(self, text: list[str], **options: Any) -> dict[str, list[list[int]]]:
            self.seen += text
            return {"input_ids": [[CLS, len(word), SEP] for word in text]}

    tokenizer = Counting()
    collate = Collate(tokenizer, DATA, None, None)
    assert collate.lengths([example(1, "a"), example(2, "bb"), example(3, "a")]).tolist() == [3, 3, 3]
    collate.lengths([example(1, "bb"), example(2, "ccc")])
    remembered = collate([example(1, "a"), example(2, "ccc")])
    assert tokenizer.seen == ["a", "bb", "ccc"]
    fresh = Collate(Counting(), DATA, None, None)([example(1, "a"), example(2, "ccc")])
    assert torch.equal(remembered["input_ids"], fresh["input_ids"])


def test_targets() -> None:
    batch = Collate(tiny_tokenizer(), DATA, None, VOCABULARY)([example(1), Example(2, (), "Is this a dog?", {})])
    assert batch["targets"].dtype == torch.float32
    torch.testing.assert_close(batch["targets"], torch.tensor([[0.0, 0.6], [0.0, 0.0]]))
    assert Collate(tiny_tokenizer(), DATA, None, None)([example(1)]).get("targets") is None


def test_pixels_features_or_neither() -> None:
    examples = [example(1), example(2)]
    pixels = Collate(tiny_tokenizer(), DataConfig(), Source("pixels"))(examples)["visual"]
    assert pixels.shape == (2, 3, 4, 5) and pixels[:, 0, 0, 0].tolist() == [1.0, 2.0]
    assert Collate(tiny_tokenizer(), DataConfig(), Source("features"))(examples)["visual"].shape == (2, 2, 6)
    assert Collate(tiny_tokenizer(), DataConfig())(examples).get("visual") is None


def test_a_batch_names_its_dataset_and_counts_its_target_tokens() -> None:
    assert Collate(tiny_tokenizer(), DataConfig(name="gqa"))([example(1)]).dataset == "gqa"
    labels = torch.tensor([[IGNORED, 3, 4], [IGNORED, 5, IGNORED]])
    assert Batch([], {"labels": labels}).target_tokens == 3


def test_a_missing_image_names_itself(tmp_path: Path) -> None:
    class Opening(Source):
        def __call__(self, images: Sequence[Path]) -> Tensor:
            return torch.tensor(load_image(images[0]).getpixel((0, 0)))

    lost = Example(1, (tmp_path / "lost.png",), "Is this a dog?", {})
    with pytest.raises(DataError, match=r"lost\.png: the image is missing"):
        Collate(tiny_tokenizer(), DATA, Opening("pixels"), None)([lost])


def test_collate_pickles_and_a_batch_moves() -> None:
    collate = pickle.loads(pickle.dumps(Collate(tiny_tokenizer(), DATA, Source("features"), VOCABULARY)))
    batch = collate([example(1), example(2)])
    moved = batch.to("meta", non_blocking=True)
    assert set(moved.tensors) == {"input_ids", "attention_mask", "targets", "visual"}
    assert {tensor.device.type for tensor in moved.tensors.values()} == {"meta"}
    assert moved.examples == batch.examples and moved.dataset == batch.dataset
    assert batch["input_ids"].device.type == "cpu"
