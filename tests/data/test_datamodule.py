"""The DataModule from files to batches, under Lightning's own loop too."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import lightning
import pytest
import torch

from tests.data.official_files import write_world
from tests.data.test_batch import Source
from tests.data.tiny_tokenizer import tiny_tokenizer
from vlrouting.config import DataConfig
from vlrouting.data.batch import Batch
from vlrouting.data.datamodule import VQADataModule
from vlrouting.data.example import DataError
from vlrouting.data.read import read_splits
from vlrouting.data.vocabulary import AnswerVocabulary


class NamedSource(Source):
    """The COCO number of the image, as one feature."""

    def __call__(self, images: Any) -> torch.Tensor:
        return torch.full((1, 2), float(images[0].stem.rpartition("_")[2]))


@pytest.fixture
def data(tmp_path: Path) -> DataConfig:
    return replace(write_world(tmp_path), validation="val2014", test="test2015")


def module(data: DataConfig, **changes: Any) -> VQADataModule:
    options: dict[str, Any] = {
        "batch_size": 3,
        "evaluation_batch_size": 7,
        "workers": 0,
        "seed": 5,
        "tokenizer": tiny_tokenizer(),
        "vocabulary": AnswerVocabulary(("yes", "no", "red", "2")),
        "visual": NamedSource("features"),
    }
    return VQADataModule(data, **(options | changes))


def ids(batch: Batch) -> list[int | str]:
    return [example.id for example in batch.examples]


def test_from_files_to_batches(data: DataConfig) -> None:
    found = module(data)
    found.setup()
    batches = list(found.train_dataloader())
    assert len(batches) == len(found.train_dataloader()) == 5
    for batch in batches:
        assert batch.targets is not None and batch.targets.shape == (3, 4) and batch.targets.max() == 1
        assert batch.features is not None and batch.features.shape == (3, 1, 2)
        assert batch.features[:, 0, 0].tolist() == [int(example.id) // 1000 for example in batch.examples]
    tested = list(found.test_dataloader())
    assert sorted(identity for batch in tested for identity in ids(batch)) == sorted(
        example.id for example in found.examples["test2015"]
    )
    assert [ids(batch) for batch in found.test_dataloader()] == [ids(batch) for batch in tested]
    assert found.answer_types("val2014") == ("number", "other", "yes/no")
    assert found.question_types("val2014") == ("how many", "is this a", "what color is the")
    assert found.answer_types("test2015") == found.question_types("test2015") == ()
    assert found.lengths("val2014")[:4] == [7, 12, 8, 8]


def test_workers_give_the_same_batches_and_leave_the_global_state_alone(data: DataConfig) -> None:
    orders = []
    for workers in (0, 1):
        found = module(data, workers=workers)
        found.setup("fit")
        loader = found.train_dataloader()
        torch.manual_seed(3)
        state = torch.get_rng_state()
        orders.append([ids(batch) for _ in range(2) for batch in loader])
        assert torch.equal(torch.get_rng_state(), state)
        assert loader.persistent_workers == (workers > 0)
    assert orders[0] == orders[1] and len(orders[0]) == 10


def test_only_what_the_stage_needs_is_read_and_only_once(data: DataConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    found = module(data)
    found.setup("test")
    assert list(found.examples) == ["test2015"]
    found.setup("fit")
    assert set(found.examples) == {"test2015", "train2014", "val2014"}
    given = module(data, examples=read_splits(data))
    monkeypatch.setattr("vlrouting.data.datamodule.read_splits", None)
    given.setup()
    found.setup()
    assert given.examples == found.examples


def test_the_image_folders_matter_only_to_who_loads_pixels(data: DataConfig) -> None:
    (Path(data.root) / "train2014").rename(Path(data.root) / "elsewhere")
    module(data, visual=None).setup()
    module(data).setup()
    with pytest.raises(DataError, match="train2014 is missing"):
        module(data, visual=Source("pixels")).setup()


def test_a_split_without_answers_cannot_train(data: DataConfig) -> None:
    for wrong in (replace(data, train="test2015"), replace(data, validation="test2015")):
        with pytest.raises(DataError, match=r"'test2015' has no answers"):
            module(wrong).setup("fit")


def test_no_validation_split(data: DataConfig) -> None:
    found = module(replace(data, validation=None))
    found.setup()
    assert found.val_dataloader() == []


class Recorder(lightning.LightningModule):
    """Notes the batches that Lightning hands out."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))
        self.trained: list[list[int | str]] = []
        self.validated: list[int | str] = []
        self.tested: list[int | str] = []

    def training_step(self, batch: Batch) -> torch.Tensor:
        self.trained.append(ids(batch))
        return self.weight * batch.input_ids.sum()

    def validation_step(self, batch: Batch) -> None:
        self.validated += ids(batch)

    def test_step(self, batch: Batch) -> None:
        self.tested += ids(batch)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


@pytest.mark.parametrize("position", [(0, 0), (0, 2)])
def test_lightning_gets_the_planned_epochs(data: DataConfig, tmp_path: Path, position: tuple[int, int]) -> None:
    found, recorder = module(data), Recorder()
    found.setup("fit")
    found.train_sampler.set_position(*position)
    trainer = lightning.Trainer(
        max_epochs=2,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(recorder, datamodule=found)
    trainer.test(recorder, datamodule=found, verbose=False)
    examples = found.examples["train2014"]
    plan = found.train_sampler.plan(0)[position[1] :] + found.train_sampler.plan(1)
    assert recorder.trained == [[examples[index].id for index in batch] for batch in plan]
    if position == (0, 0):  # Lightning counts batches itself, and validates an epoch only when it has seen all of it
        assert len(recorder.validated) == 32 and len(set(recorder.validated)) == 16
    assert len(recorder.tested) == len(set(recorder.tested)) == 16
