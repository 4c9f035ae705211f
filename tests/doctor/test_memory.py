"""The estimate of memory: what it counts, what fits, and the remedy."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.doctor.looking import amiss, experiment_in, look, the_one
from tests.tiny_backbones import save_tiny_bert, save_tiny_gpt2, save_tiny_llama
from tests.tiny_models import batch_of
from vlrouting.backbones.language import load_language_model
from vlrouting.bottleneck import attach
from vlrouting.config import (
    BottleneckConfig,
    DataConfig,
    ExperimentConfig,
    LanguageConfig,
    ModelConfig,
    TrainConfig,
    VisionConfig,
)
from vlrouting.doctor import Finding, Surroundings
from vlrouting.doctor.memory import PROGRAM, estimate
from vlrouting.doctor.sizes import Sizes, sizes
from vlrouting.models.decoder import Decoder
from vlrouting.models.encoder_classifier import EncoderClassifier

ROWS = 16


def _config(folder: Path, writes: bool, bottleneck: BottleneckConfig) -> ExperimentConfig:
    return ExperimentConfig(
        task="captioning" if writes else "vqa_classification",
        language=LanguageConfig(str(folder)),
        vision=VisionConfig("vit_tiny_patch16_224", weights="random", image_size=32),
        bottleneck=bottleneck,
        data=DataConfig("coco" if writes else "vqav2", root="/nowhere", max_text_tokens=30, max_target_tokens=30),
        train=TrainConfig(max_steps=1, batch_size=ROWS),
    )


def _kept_bytes(model: torch.nn.Module, forward: Callable[[], torch.Tensor]) -> int:
    """Bytes that autograd keeps for the backward pass, weights not counted."""
    own = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept: dict[int, torch.Tensor] = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        if tensor.untyped_storage().data_ptr() not in own:
            kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        forward()
    return sum(tensor.untyped_storage().nbytes() for tensor in kept.values())


@pytest.mark.parametrize("save", [save_tiny_bert, save_tiny_gpt2, save_tiny_llama])
@pytest.mark.parametrize("kind", ["lora", "adapter"])
@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_activations_are_what_autograd_keeps(
    tmp_path: Path, save: Callable[..., Path], kind: str, dropout: float
) -> None:
    folder, writes = save(tmp_path, width=64, layers=4), save is not save_tiny_bert
    config = _config(folder, writes, BottleneckConfig(kind=kind, rank=8, routing="mul", dropout=dropout))
    size = sizes(config, Surroundings())
    language = load_language_model(config.language, causal=writes).model
    text = size.sequence(config) - 1
    ids = torch.randint(5, 15, (ROWS, text))
    architecture = Decoder if writes else EncoderClassifier
    model = architecture(attach(language, config.bottleneck), (1, 192), ModelConfig(), outputs=3129).train()
    batch = batch_of(ids, labels=ids, visual=torch.randn(ROWS, 1, 192))
    kept = _kept_bytes(model, lambda: model(batch))
    assert size.trained == model.trainable_parameters
    log_probabilities = 4 * ROWS * (text + 1) * size.vocabulary
    estimated = estimate(config, size, "cpu")["activations"] + log_probabilities
    assert 0.85 < estimated / kept < 1.25


@pytest.fixture
def large() -> tuple[ExperimentConfig, Sizes]:
    """A point with the numbers of GPT-2 medium."""
    config = ExperimentConfig(train=TrainConfig(max_steps=1, batch_size=64))
    size = Sizes(
        trained=10**7, frozen=4 * 10**8, layers=24, block=12 * 10**6, width=1024, kept_wide=25_000, kept_norms=2048,
        vocabulary=50_257, visual_tokens=1, vision=None, positions=1024,
    )  # fmt: skip
    return config, size


def test_every_part_counts_what_it_should(large: tuple[ExperimentConfig, Sizes]) -> None:
    config, size = large

    def parts(**train: object) -> dict[str, int]:
        return estimate(replace(config, train=replace(config.train, **train)), size, "gpu")  # type: ignore[arg-type]

    whole = parts()
    assert whole["weights"] == 16 * 10**8 and whole["training"] == 16 * 10**7 and whole["program"] == PROGRAM["gpu"]
    tokens = 64 * (1 + 19)
    assert whole["activations"] == 24 * tokens * 4 * (25_000 + 2048)
    for pieces in ({"accumulate": 4}, {"devices": 4}, {"nodes": 2, "devices": 2}):
        assert parts(**pieces)["activations"] * 4 == whole["activations"]
        assert parts(**pieces)["weights"] == whole["weights"]
    assert parts(precision="bf16-mixed")["activations"] == 24 * tokens * (2 * 25_000 + 4 * 2048)
    assert parts(gradient_checkpointing=True)["activations"] == tokens * 4 * (24 * 1024 + 25_000 + 2048)
    sharded = parts(strategy="fsdp", devices=4)["weights"]
    assert sharded == 4 * (4 * 10**8 - 24 * 12 * 10**6 + 24 * 12 * 10**6 // 4 + 2 * 12 * 10**6)
    assert parts(strategy="fsdp")["weights"] == whole["weights"]
    small = replace(config, language=replace(config.language, dtype="bfloat16"))
    assert estimate(small, size, "gpu")["weights"] == 8 * 10**8


def _memory(findings: list[Finding]) -> Finding:
    (finding,) = [finding for finding in findings if finding.looked_at == "memory"]
    return finding


def _need(folder: Path, *overrides: str) -> float:
    """GiB that a step is estimated to take on a GPU."""
    config = experiment_in(folder, *overrides).points[0].config
    return sum(estimate(config, sizes(config, Surroundings()), "gpu").values()) / 2**30


BIG = ("train.accelerator=auto", "train.batch_size=48", "data.max_text_tokens=60", "bottleneck.rank=2048")


def test_the_remedy_is_the_smallest_accumulate_that_fits(tiny: Path) -> None:
    gibibytes = (_need(tiny, *BIG, "train.accumulate=3") + 0.001) / 0.85
    assert _need(tiny, *BIG, "train.accumulate=2") > 0.85 * gibibytes
    finding = the_one(look(tiny, *BIG, gpu_memory=gibibytes), "fault", "memory", "more than", "estimated")
    assert finding.remedy == "set train.accumulate=3"
    for part in ("weights", "training", "activations", "working", "program"):
        assert part in finding.found
    warning = the_one(look(tiny, *BIG, gpu_memory=_need(tiny, *BIG) + 0.001), "warning", "memory", "nearly all")
    assert warning.remedy == "set train.accumulate=2"
    assert amiss(look(tiny, *BIG, "train.accumulate=3", gpu_memory=gibibytes)) == []


def test_gradient_checkpointing_where_no_accumulate_fits(tiny: Path) -> None:
    alone = (*BIG, "train.accumulate=48")
    gibibytes = (_need(tiny, *alone, "train.gradient_checkpointing=true") + 1e-6) / 0.85
    assert _need(tiny, *alone) > 0.85 * gibibytes
    fault = amiss(look(tiny, *BIG, gpu_memory=gibibytes))[-1]
    assert fault.remedy == "set train.accumulate=48 train.gradient_checkpointing=true"
    hopeless = the_one(look(tiny, *BIG, gpu_memory=0.1), "fault", "memory", "more than 0.1 GiB")
    assert "language.dtype=bfloat16" in hopeless.remedy and "smaller backbone" in hopeless.remedy


def test_this_machines_memory(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    meminfo = tmp_path / "meminfo"
    monkeypatch.setattr("vlrouting.doctor.memory._MEMINFO", meminfo)
    meminfo.write_text("MemTotal: 8000000 kB\nMemAvailable: 400000 kB\n")
    the_one(look(tiny), "fault", "memory", "more than 390.6 MiB", "smaller backbone")
    meminfo.write_text("MemTotal: 8000000 kB\nMemAvailable: 4000000 kB\n")
    assert amiss(look(tiny)) == []
    job = {"SLURM_JOB_ID": "1", "SLURM_MEM_PER_NODE": "500"}
    the_one(look(tiny, environment=job), "fault", "memory", "more than 500.0 MiB")


def test_what_is_not_known(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vlrouting.doctor.slurm.scheduler", lambda sweep: [])
    said = _memory(look(tiny, "train.accelerator=auto", launcher="slurm"))
    assert "give --gpu-memory" in said.found


def test_bottlenecks_that_do_not_fit(tiny: Path) -> None:
    the_one(
        look(tiny, "bottleneck.targets=[qeury.x]"), "fault", "bottlenecks", "'qeury.x' matches no module", "targets"
    )


def test_the_worst_of_several_points_speaks_for_all(tiny: Path) -> None:
    (tiny / "tiny.yaml").write_text((tiny / "tiny.yaml").read_text() + "sweep: {grid: {bottleneck.rank: [2, 512]}}\n")
    finding = _memory(look(tiny))
    config = experiment_in(tiny).points[1].config
    assert (
        f"training {estimate(config, sizes(config, Surroundings()), 'cpu')['training'] / 2**20:.1f} MiB"
        in finding.found
    )
