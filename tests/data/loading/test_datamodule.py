"""The DataModule from files to batches, under Lightning's own loop too."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import lightning
import numpy as np
import pytest
import torch

from tests.data.datasets.official_files import ANSWERS, COLORS, write_world
from tests.data.loading.test_batch import Source
from tests.data.loading.tiny_tokenizer import tiny_tokenizer
from vlrouting.config import DataConfig, TrainConfig
from vlrouting.data.datasets.presence import missing_files
from vlrouting.data.datasets.read import read_splits
from vlrouting.data.example import DataError
from vlrouting.data.images import load_image
from vlrouting.data.loading.batch import Batch, Collate
from vlrouting.data.loading.datamodule import VisionLanguageDataModule
from vlrouting.data.loading.source import DatasetSource
from vlrouting.data.loading.vocabulary import AnswerVocabulary


class NamedSource(Source):
    """The COCO number of the image, as one feature."""

    def __call__(self, images: Any) -> torch.Tensor:
        return torch.full((1, 2), float(images[0].stem.rpartition("_")[2]))


class PictureSource(Source):
    """The pixels of the image, (3, 16, 20)."""

    def __call__(self, images: Any) -> torch.Tensor:
        return torch.from_numpy(np.array(load_image(images[0]))).permute(2, 0, 1) / 255


@pytest.fixture
def data(tmp_path: Path) -> DataConfig:
    return replace(write_world(tmp_path), validation="val2014", test="test2015")


def module(data: DataConfig, visual: Any = None, workers: int = 0, batch_size: int = 3) -> VisionLanguageDataModule:
    source = NamedSource("features") if visual is None else visual
    examples = read_splits(data)
    collate = Collate(tiny_tokenizer(), data, source, AnswerVocabulary(ANSWERS))
    return VisionLanguageDataModule(
        train=TrainConfig(batch_size=batch_size, workers=workers),
        evaluation_batch_size=7,
        seed=5,
        sources=[
            DatasetSource(
                name="own",
                batch_size=batch_size,
                collate=collate,
                evaluation_collate=collate,
                training_examples=examples[data.train],
                validation_examples=None if data.validation is None else examples[data.validation],
                test_examples=examples[data.test],
            )
        ],
        missing_files=partial(missing_files, data),
    )


def ids(batch: Batch) -> list[int | str]:
    return [example.id for example in batch.examples]


def test_from_files_to_batches(data: DataConfig) -> None:
    found = module(data)
    batches = list(found.train_dataloader())
    assert len(batches) == len(found.train_dataloader()) == 5
    for batch in batches:
        assert batch["targets"].shape == (3, 8)
        assert batch["targets"].max(dim=1).values.tolist() == [1, 1, 1]
        assert batch["visual"].shape == (3, 1, 2)
        assert batch["visual"][:, 0, 0].tolist() == [int(example.id) // 1000 for example in batch.examples]
    tested = list(found.test_dataloader()[0])
    assert sorted(identity for batch in tested for identity in ids(batch)) == sorted(
        example.id for example in found.first.test_examples
    )
    assert [ids(batch) for batch in found.test_dataloader()[0]] == [ids(batch) for batch in tested]
    assert found.first.validation_examples is not None
    assert found.first.collate.lengths(found.first.validation_examples)[:4].tolist() == [6, 12, 7, 8]


def test_workers_give_the_same_batches_and_leave_the_global_state_alone(data: DataConfig) -> None:
    given: list[list[dict[str, Any]]] = []
    for workers in (0, 2):
        found = module(data, workers=workers, visual=PictureSource("pixels"))
        found.plan_run(8)
        loader, (tested,) = found.train_dataloader(), found.test_dataloader()
        torch.manual_seed(3)
        random.seed(3)
        np.random.seed(3)
        before = (torch.get_rng_state().tolist(), random.getstate(), str(np.random.get_state()))
        given.append([batch.tensors for turn in (loader, tested, loader) for batch in turn])
        assert (torch.get_rng_state().tolist(), random.getstate(), str(np.random.get_state())) == before
        assert loader.persistent_workers == (workers > 0)
    assert len(given[0]) == len(given[1]) == 2 * 8 + 3
    for alone, worked in zip(*given, strict=True):
        assert alone.keys() == worked.keys()
        assert all(torch.equal(tensor, worked[name]) for name, tensor in alone.items())


def test_pixels_are_those_of_the_question(data: DataConfig) -> None:
    found = module(data, visual=PictureSource("pixels"))
    for batch in found.train_dataloader():
        assert batch["visual"].shape == (3, 3, 16, 20)
        for example, pixels in zip(batch.examples, batch["visual"], strict=True):
            if example.answer in COLORS:
                torch.testing.assert_close(
                    pixels[:, 9, 7], torch.tensor(COLORS[example.answer]) / 255, atol=0.03, rtol=0
                )


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    ("share", "expected"),
    [
        (0.5, r"no image, or a truncated or damaged one \(.*\); restore this file from the image archive"),
        (0.0, r"the image is missing; unpack the image archive again, or correct data\.root"),
    ],
)
def test_a_broken_image_is_one_sentence(data: DataConfig, workers: int, share: float, expected: str) -> None:
    found = module(data, visual=PictureSource("pixels"), workers=workers)
    path = found.first.training_examples[0].images[0]
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    if not share:
        path.unlink()
    message = "no error"
    try:
        list(found.train_dataloader())
    except DataError as error:
        message = str(error)
    assert re.fullmatch(f"{re.escape(str(path))}: {expected}", message)


def test_a_planned_run_goes_over_the_epochs_and_resumes(data: DataConfig) -> None:
    found = module(data)
    plan = found._batches(0, 1, 1)["own"].plan
    epochs = [*plan(0), *plan(1), *plan(2)]
    expected = [[found.first.training_examples[index].id for index in batch] for batch in epochs]
    for done in (0, 4, 5, 12):
        found.plan_run(12, done)
        loader = found.train_dataloader()
        assert [ids(batch) for batch in loader] == expected[done:12]
        assert len(loader) == 12


def test_the_ranks_are_those_of_the_trainer(data: DataConfig) -> None:
    found = module(data, batch_size=6)
    assert found.steps_per_epoch == 2
    found.trainer = SimpleNamespace(
        global_rank=1, world_size=2, strategy=SimpleNamespace(root_device=torch.device("cpu"))
    )
    trained: list[list[int | str]] = []
    tested: list[int | str] = []
    for rank in (0, 1):
        found.trainer.global_rank = rank
        loader = found.train_dataloader()
        assert len(list(loader)) == 2
        trained += [ids(batch) for batch in loader]
        tested += [identity for batch in found.test_dataloader()[0] for identity in ids(batch)]
    assert len({identity for batch in trained for identity in batch}) == 12
    assert sorted(map(str, tested)) == sorted(str(example.id) for example in found.first.test_examples)


def test_the_first_batches_are_micro_batches_of_the_order(data: DataConfig) -> None:
    found = module(data, batch_size=4)
    found.config = replace(found.config, devices=2)
    first = list(found.first_batches(3))
    whole = found._batches(0, 1, 1)["own"].plan(0)
    assert [len(batch) for batch in first] == [2, 2, 2]
    assert ids(first[0]) + ids(first[1]) == [found.first.training_examples[index].id for index in whole[0]]


def test_no_validation_split(data: DataConfig) -> None:
    found = module(replace(data, validation=None))
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
        return self.weight * batch["input_ids"].sum()

    def validation_step(self, batch: Batch) -> None:
        self.validated += ids(batch)

    def test_step(self, batch: Batch) -> None:
        self.tested += ids(batch)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), 0.1)


def test_lightning_gets_the_planned_run(data: DataConfig, tmp_path: Path) -> None:
    found, recorder = module(data), Recorder()
    found.plan_run(8)
    trainer = lightning.Trainer(
        max_epochs=1,
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
    plan = found._batches(0, 1, 1)["own"].plan
    assert recorder.trained == [
        [found.first.training_examples[i].id for i in part] for part in [*plan(0), *plan(1)][:8]
    ]
    assert len(recorder.validated) == len(set(recorder.validated)) == 16
    assert len(recorder.tested) == len(set(recorder.tested)) == 16


def test_prepare_data_checks_and_downloads_nothing(data: DataConfig, tmp_path: Path) -> None:
    made = module(data)
    made.prepare_data()
    (tmp_path / "val2014").rename(tmp_path / "elsewhere")
    with pytest.raises(DataError, match=r"val2014 is missing .*vlrouting data fetch vqav2"):
        made.prepare_data()
    assert not (tmp_path / ".fetch").exists()
