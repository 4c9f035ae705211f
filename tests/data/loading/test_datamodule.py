"""The DataModule from files to batches, under Lightning's own loop too."""

from __future__ import annotations

import gc
import random
import re
from dataclasses import replace
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
from vlrouting.config import DataConfig
from vlrouting.data.datasets.read import read_splits
from vlrouting.data.example import DataError
from vlrouting.data.images import load_image
from vlrouting.data.loading.batch import Batch, Collate
from vlrouting.data.loading.datamodule import VisionLanguageDataModule
from vlrouting.data.loading.vocabulary import AnswerVocabulary


class NamedSource(Source):
    """The COCO number of the image, as one feature."""

    def __call__(self, images: Any) -> torch.Tensor:
        return torch.full((1, 2), float(images[0].stem.rpartition("_")[2]))


class PictureSource(Source):
    """The pixels of the image, (3, 16, 20)."""

    def __call__(self, images: Any) -> torch.Tensor:
        return torch.from_numpy(np.array(load_image(images[0]))).permute(2, 0, 1) / 255


_DEFAULT = object()


@pytest.fixture
def data(tmp_path: Path) -> DataConfig:
    return replace(write_world(tmp_path), validation="val2014", test="test2015")


def module(data: DataConfig, visual: Any = _DEFAULT, **changes: Any) -> VisionLanguageDataModule:
    options: dict[str, Any] = {"batch_size": 3, "evaluation_batch_size": 7, "workers": 0, "seed": 5}
    source = NamedSource("features") if visual is _DEFAULT else visual
    collate = Collate(tiny_tokenizer(), AnswerVocabulary(ANSWERS), source, data.max_text_tokens)
    return VisionLanguageDataModule(data, collate=collate, **(options | changes))


def ids(batch: Batch) -> list[int | str]:
    return [example.id for example in batch.examples]


def test_from_files_to_batches(data: DataConfig) -> None:
    found = module(data)
    found.setup()
    batches = list(found.train_dataloader())
    assert len(batches) == len(found.train_dataloader()) == 5
    for batch in batches:
        assert batch.targets is not None and batch.targets.shape == (3, 8)
        assert batch.targets.max(dim=1).values.tolist() == [1, 1, 1]
        assert batch.features is not None and batch.features.shape == (3, 1, 2)
        assert batch.features[:, 0, 0].tolist() == [int(example.id) // 1000 for example in batch.examples]
    tested = list(found.test_dataloader())
    assert sorted(identity for batch in tested for identity in ids(batch)) == sorted(
        example.id for example in found.examples["test2015"]
    )
    assert [ids(batch) for batch in found.test_dataloader()] == [ids(batch) for batch in tested]
    assert found.collate.lengths(found.examples["val2014"])[:4] == [6, 12, 7, 8]


@pytest.mark.parametrize("planned", [0, 8], ids=["two epochs", "a run"])
def test_workers_give_the_same_batches_and_leave_the_global_state_alone(data: DataConfig, planned: int) -> None:
    given: list[list[dict[str, Any]]] = []
    for workers in (0, 2):
        found = module(data, workers=workers, visual=PictureSource("pixels"))
        found.setup()
        found.plan_run(planned)
        loader, tested = found.train_dataloader(), found.test_dataloader()
        torch.manual_seed(3)
        random.seed(3)
        np.random.seed(3)
        before = (torch.get_rng_state().tolist(), random.getstate(), str(np.random.get_state()))
        turns = [loader, tested] if planned else [loader, tested, loader]
        given.append([vars(batch) for turn in turns for batch in turn])
        assert (torch.get_rng_state().tolist(), random.getstate(), str(np.random.get_state())) == before
        assert loader.persistent_workers == (workers > 0)
    assert len(given[0]) == len(given[1]) == (8 if planned else 10) + 3
    for alone, worked in zip(*given, strict=True):
        for name, value in alone.items():
            same = torch.equal(value, worked[name]) if isinstance(value, torch.Tensor) else value == worked[name]
            assert same, name


def test_pixels_are_those_of_the_question(data: DataConfig) -> None:
    found = module(data, visual=PictureSource("pixels"))
    found.setup("fit")
    for batch in found.train_dataloader():
        assert batch.pixels is not None and batch.features is None and batch.pixels.shape == (3, 3, 16, 20)
        for example, pixels in zip(batch.examples, batch.pixels, strict=True):
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
def test_a_broken_image_is_one_sentence(
    data: DataConfig, workers: int, share: float, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A loader that its own error keeps alive waits this long for its workers once it is collected: 5 s for each.
    monkeypatch.setattr("torch.utils.data._utils.MP_STATUS_CHECK_INTERVAL", 0.1, raising=False)
    found = module(data, visual=PictureSource("pixels"), workers=workers)
    found.setup("fit")
    path = found.examples["train2014"][0].images[0]
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])
    if not share:
        path.unlink()
    message = "no error"
    try:
        list(found.train_dataloader())
    except DataError as error:
        message = str(error)
    gc.collect()
    assert re.fullmatch(f"{re.escape(str(path))}: {expected}", message)


def test_a_planned_run_goes_over_the_epochs_and_resumes(data: DataConfig) -> None:
    found = module(data)
    found.setup("fit")
    epochs = [*found.train_sampler.plan(0), *found.train_sampler.plan(1), *found.train_sampler.plan(2)]
    expected = [[found.examples["train2014"][index].id for index in batch] for batch in epochs]
    for done in (0, 4, 5, 12):
        found.plan_run(12, done)
        loader = found.train_dataloader()
        assert [ids(batch) for batch in loader] == expected[done:12]
        assert len(loader) == 12


def test_the_ranks_are_those_of_the_trainer(data: DataConfig) -> None:
    found = module(data)
    found.batch_size = 6
    found.setup()
    assert found.steps_per_epoch == 2
    found.trainer = SimpleNamespace(
        global_rank=1, world_size=2, strategy=SimpleNamespace(root_device=torch.device("cpu"))
    )
    assert (found.train_sampler.rank, found.train_sampler.world_size, len(found.train_sampler)) == (1, 2, 2)
    assert len(list(found.train_dataloader())) == 2
    shares = []
    for rank in (0, 1):
        found.trainer.global_rank = rank
        shares.append([identity for batch in found.test_dataloader() for identity in ids(batch)])
    assert sorted(shares[0] + shares[1]) == [example.id for example in found.examples["test2015"]]
    with pytest.raises(RuntimeError, match="before the Trainer was attached"):
        found.trainer = None
        found.train_dataloader()


def test_an_unknown_split_is_named(data: DataConfig) -> None:
    with pytest.raises(DataError, match=r"'val2041' is not one of .*; describe it in .* Did you mean 'val2014'\?"):
        module(replace(data, test="val2041")).setup("test")


def test_only_what_the_stage_needs_is_read_and_only_once(data: DataConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    found = module(data)
    found.setup("test")
    assert list(found.examples) == ["test2015"]
    found.setup("fit")
    assert set(found.examples) == {"test2015", "train2014", "val2014"}
    given = module(data, examples=read_splits(data))
    monkeypatch.setattr("vlrouting.data.loading.datamodule.read_splits", None)
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
