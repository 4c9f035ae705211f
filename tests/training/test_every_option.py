"""Every key of an experiment is read: the run with another value of it differs as it should, or not at all."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from huggingface_hub import constants

from tests.golden.experiments import DIFFERENCE, LORA, TOLERANCE, Trace, trace, write_experiments
from tests.golden.rewrite import stored
from tests.tiny_backbones import save_tiny_roberta
from tests.training.event_curves import curve
from tests.training.every_option import ELSEWHERE, OPTIONS, Option, base_trace, option_trace
from vlrouting.backbones.language import load_language_model
from vlrouting.config import KINDS, SELECTORS, ExperimentConfig, LanguageConfig, SelectConfig
from vlrouting.experiment import load
from vlrouting.training.assembly import Built, build_point
from vlrouting.training.inputs import SharedInputs

REPOSITORY = Path(__file__).parents[2]
Files = Mapping[str, Path]


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_experiments(tmp_path_factory.mktemp("options"))


@pytest.fixture(scope="module")
def bases() -> dict[object, Trace]:
    """Runs to compare with, made when they are asked for."""
    return {}


@pytest.mark.parametrize("option", OPTIONS, ids=[option.name for option in OPTIONS])
def test_the_run_differs_as_it_should(files: Files, bases: dict[object, Trace], option: Option, tmp_path: Path) -> None:
    key = (option.task, option.beside, option.against)
    if key not in bases:
        bases[key] = base_trace(files, tmp_path / "base", option)
    base, found = bases[key], option_trace(files, tmp_path / "option", option)
    if option.differs:
        for facet in option.differs:
            assert differ(getattr(found, facet), getattr(base, facet)), facet
    else:
        assert found.losses == pytest.approx(base.losses, rel=TOLERANCE)
        assert found.norms == pytest.approx(base.norms, rel=TOLERANCE)
        assert (found.metrics, found.predictions) == (base.metrics, base.predictions)
    if option.stored:
        for name, values in stored("options")[option.name].items():
            assert found.summary()[name] == pytest.approx(values, rel=TOLERANCE), name


def differ(one: Any, other: Any) -> bool:
    """Whether two traces differ; numbers in more than their last digits."""
    values = [*one.values()] if isinstance(one, dict) else one
    numbers = all(isinstance(value, float) for value in values)
    return bool(one != (pytest.approx(other, rel=DIFFERENCE) if numbers else other))


def keys_of_an_experiment() -> Iterator[str]:
    """Every dotted key, those of all kinds of bottleneck among them."""
    for section in dataclasses.fields(ExperimentConfig):
        value = getattr(ExperimentConfig(), section.name)
        if section.name in ("bottleneck", "select"):
            continue
        if dataclasses.is_dataclass(value):
            yield from (f"{section.name}.{field.name}" for field in dataclasses.fields(value))
        else:
            yield section.name
    configs = [KINDS.facts(kind) for kind in KINDS]
    built_in = [config for config in configs if config.__module__.startswith("vlrouting.config.kinds.")]
    yield from {f"bottleneck.{field.name}" for kind in built_in for field in dataclasses.fields(kind)}
    selectors = [SELECTORS.facts(name) for name in SELECTORS]
    built_in = [config for config in selectors if config.__module__.startswith("vlrouting.config.selectors.")]
    yield from {
        f"select.{field.name}" for selector in (SelectConfig, *built_in) for field in dataclasses.fields(selector)
    }


def test_every_key_is_tested_here_or_elsewhere() -> None:
    tested = {option.key for option in OPTIONS} | ELSEWHERE.keys()
    assert sorted(keys_of_an_experiment()) == sorted(tested)
    for key, place in ELSEWHERE.items():
        path, _, name = place.partition("::")
        said = f"def {name}(" if name else key.rpartition(".")[2]
        assert said in (REPOSITORY / path).read_text(encoding="utf-8"), (key, place)


def build(file: Path, *overrides: str) -> Built:
    experiment = load(str(file), [*LORA, *overrides])
    return build_point(experiment.points[0].config, SharedInputs(torch.device("cpu")))


def initial_values(built: Built) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in built.task.model.parameters() if p.requires_grad])


def test_the_seed_decides_initialisation_order_and_dropout(files: Files) -> None:
    overrides = "bottleneck.dropout=0.5"
    third, fourth = (build(files["vqa_classification"], overrides, f"seed={seed}") for seed in (3, 4))
    torch.manual_seed(99)
    again = build(files["vqa_classification"], overrides, "seed=3")
    assert torch.equal(initial_values(third), initial_values(again))
    assert not torch.equal(initial_values(third), initial_values(fourth))
    orders = [
        [e.id for batch in built.data.first_batches(3) for e in batch.examples] for built in (third, again, fourth)
    ]
    assert orders[0] == orders[1] != orders[2]
    (batch,) = third.data.first_batches(1)
    with torch.no_grad():  # the same weights and examples: only the dropout is another
        for parameter in third.task.model.language.parameters():
            torch.nn.init.normal_(parameter, std=0.3, generator=torch.Generator().manual_seed(0))
        losses = [float(third.task.training_step(batch, number)) for number in (0, 0, 1)]
        third.task.seed = 4
        losses.append(float(third.task.training_step(batch, 0)))
    assert losses[0] == losses[1] and len(set(losses)) == 3


def test_a_test_draws_the_same_numbers_again(files: Files) -> None:
    built = build(files["vqa_generation"], "generate.sample=true", "generate.temperature=3")
    batch, texts = next(iter(built.data.test_dataloader()[0])), []
    for seed in (1, 2):
        torch.manual_seed(seed)
        built.task.on_test_epoch_start()
        built.task.test_step(batch, 0)
        texts.append(built.task._predicted)
    assert texts[0] == texts[1] and len({text for *_, text in texts[0]}) > 1


def test_accumulation_cuts_a_batch_into_micro_batches(files: Files) -> None:
    for accumulate, size in ((1, 8), (2, 4)):
        built = build(files["vqa_classification"], f"train.accumulate={accumulate}")
        assert len(next(iter(built.data.train_dataloader()))) == size


@pytest.mark.parametrize("task", ["vqa_classification", "vqa_generation"])
def test_checkpointing_saves_fewer_activations(files: Files, task: str) -> None:
    saved = {}
    for chosen in ("false", "true"):
        built = build(files[task], f"train.gradient_checkpointing={chosen}")
        (batch,) = built.data.first_batches(1)
        sizes: list[int] = []
        keep = lambda tensor, sizes=sizes: sizes.append(tensor.numel()) or tensor  # noqa: E731
        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            built.task.task_model.loss(batch)
        saved[chosen] = sum(sizes)
    assert saved["true"] < saved["false"] / 2


def test_options_of_the_machine_reach_their_place(files: Files) -> None:
    file = files["vqa_classification"]
    plain = build(file)
    chosen = build(file, "train.workers=2", "language.attention=eager", "evaluate.batch_size=7", "vision.cache=false")
    assert [built.data.train_dataloader().num_workers for built in (plain, chosen)] == [0, 2]
    assert [len(built.data.test_dataloader()[0]) for built in (plain, chosen)] == [3, 7]
    assert [built.task.model.language.config._attn_implementation for built in (plain, chosen)] == ["sdpa", "eager"]
    assert plain.task.model.vision is None and chosen.task.model.vision is not None


def test_the_feature_cache_lies_where_it_is_told(files: Files, tmp_path: Path) -> None:
    file = files["vqa_classification"]
    build(file, f"vision.cache_dir={tmp_path / 'told'}")
    assert list((tmp_path / "told").glob("*/index.json"))
    build(file)
    caches = file.parent / "colors" / "features"
    assert list(caches.glob("*/index.json"))
    shutil.rmtree(caches)
    build(file, "vision.cache=false")
    assert not caches.exists()


def test_steps_between_checkpoints_validations_and_points_of_the_curves(
    files: Files, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from vlrouting.training.checkpoints import AtomicCheckpointIO

    written: list[int] = []
    save = AtomicCheckpointIO.save_checkpoint

    def noted(self: AtomicCheckpointIO, checkpoint: dict[str, int], path: object, **options: Any) -> None:
        written.append(checkpoint["global_step"])
        save(self, checkpoint, path, **options)

    monkeypatch.setattr(AtomicCheckpointIO, "save_checkpoint", noted)
    common = (*LORA, "train.max_steps=6")
    seldom = trace(files["vqa_classification"], tmp_path / "1", *common, "train.validate_every_steps=6")
    assert set(written) == {6}
    written.clear()
    often = ("train.checkpoint_every_steps=2", "train.validate_every_steps=3", "train.log_every_steps=2")
    chosen = trace(files["vqa_classification"], tmp_path / "2", *common, *often)
    assert set(written) == {2, 3, 4, 6}
    for run, tag, steps in (
        (seldom.run, "validation/vqa_accuracy", [6]),
        (chosen.run, "validation/vqa_accuracy", [3, 6]),
        (seldom.run, "train/loss", [1, 2, 3, 4, 5, 6]),
        (chosen.run, "train/loss", [2, 4, 6]),
    ):
        assert [step for step, _ in curve(run, tag)] == steps, tag


def test_the_panel_is_drawn_where_it_is_asked_for(files: Files, tmp_path: Path) -> None:
    for count in (0, 2):
        overrides = (*LORA, "train.max_steps=1", f"evaluate.panel={count}")
        assert trace(files["vqa_classification"], tmp_path / str(count), *overrides).run.panel.exists() == (count > 0)


def test_the_revision_chooses_among_those_of_a_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    repository = tmp_path / "models--tiny--roberta"
    commits = {"main": "a" * 40, "wide": "b" * 40}
    for number, (branch, commit) in enumerate(commits.items(), start=1):
        save_tiny_roberta(repository / "snapshots" / commit, width=16 * number)
        (repository / "refs").mkdir(exist_ok=True)
        (repository / "refs" / branch).write_text(commit)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    for revision, width, commit in ((None, 16, "main"), ("wide", 32, "wide"), (commits["main"], 16, "main")):
        loaded = load_language_model(LanguageConfig("tiny/roberta", revision=revision))
        assert (loaded.width, loaded.revision) == (width, commits[commit])
