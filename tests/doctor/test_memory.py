"""Memory: arithmetic of weights and optimizer states, and one measured training step."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.doctor.checking import experiment_in, findings_of, only_problem, problems
from tests.tiny_experiment import write_caption_experiment
from vlrouting.backbones.load import load_language
from vlrouting.config import ExperimentConfig, TrainConfig
from vlrouting.doctor import Finding, RunContext, measure
from vlrouting.doctor.folders import spelled_bytes
from vlrouting.doctor.memory import bytes_of, need_of
from vlrouting.doctor.sizes import Misfit, ModelSize, build, model_size
from vlrouting.models.joint_model import JointModel
from vlrouting.training.assembly import build_point
from vlrouting.training.inputs import SharedInputs


def test_the_sizes_are_those_of_the_real_model(tiny: Path) -> None:
    config = experiment_in(tiny).points[0].config
    size = model_size(config, RunContext())
    language = load_language(config)
    model = build(config, language, size.answers, size.visual_shape(config.data.name), None)
    assert size.trainable == sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert size.frozen == sum(p.numel() for p in language.model.parameters() if not p.requires_grad)
    assert (size.visual_shape(config.data.name), size.sequence(config, config.data.name)) == (
        (1, 192),
        1 + size.text_tokens(config),
    )


def test_every_part_counts_what_it_should() -> None:
    config = ExperimentConfig(train=TrainConfig(max_steps=1, batch_size=64))
    size = ModelSize(10**7, 4 * 10**8, 24 * 12 * 10**6, 24, images=1, vision=None, positions=1024, answers=0)

    def weights(**train: object) -> int:
        return bytes_of(replace(config, train=replace(config.train, **train)), size)["weights"]  # type: ignore[arg-type]

    assert bytes_of(config, size) == {"weights": 16 * 10**8, "training": 16 * 10**7}
    assert weights(devices=4) == weights(strategy="fsdp") == 16 * 10**8
    blocks = 24 * 12 * 10**6
    assert weights(strategy="fsdp", devices=4) == 4 * (4 * 10**8 - blocks + blocks // 4 + 2 * 12 * 10**6)
    small = replace(config, language=replace(config.language, dtype="bfloat16"))
    assert bytes_of(small, size)["weights"] == 8 * 10**8


def test_a_selection_comes_before_the_training_and_not_on_top_of_it(tiny: Path) -> None:
    spt = ("select.method=spt", "model.unfreeze=[]", "select.budget=1000")
    config = experiment_in(tiny, *spt).points[0].config
    size = model_size(config, RunContext())
    parts = bytes_of(config, size)
    assert parts["selection"] == 4 * size.frozen
    assert [need_of({"weights": 1, "training": 7, "selection": number}) for number in (5, 9)] == [8, 10]
    (finding,) = _memory(findings_of(tiny, *spt))
    assert f"selection {spelled_bytes(parts['selection'])}" in finding.found
    stored = experiment_in(tiny, *spt, "select.sensitivities=there").points[0].config
    assert bytes_of(stored, size)["selection"] == 0


def _memory(findings: list[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.looked_at == "memory"]


def test_what_does_not_fit(tiny: Path) -> None:
    on_gpu = ("train.accelerator=auto", "bottleneck.rank=2048")
    config = experiment_in(tiny, *on_gpu).points[0].config
    gibibytes = sum(bytes_of(config, model_size(config, RunContext())).values()) / 2**30
    fault = only_problem(findings_of(tiny, *on_gpu, gpu_memory=gibibytes * 0.9), "fault", "memory", "more than")
    assert "language.dtype=bfloat16" in fault.remedy and "smaller backbone" in fault.remedy
    for part in ("weights", "training", "activations on top (--measure"):
        assert part in fault.found
    only_problem(findings_of(tiny, *on_gpu, gpu_memory=gibibytes * 1.1), "warning", "memory", "nearly all of")
    assert problems(findings_of(tiny, *on_gpu, gpu_memory=gibibytes * 1.3)) == []


def test_this_machines_memory(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    meminfo = tmp_path / "meminfo"
    monkeypatch.setattr("vlrouting.doctor.memory._MEMINFO", meminfo)
    meminfo.write_text("MemTotal: 8000000 kB\nMemAvailable: 1000 kB\n")
    only_problem(findings_of(tiny), "fault", "memory", "more than 1000 KiB", "smaller backbone")
    meminfo.write_text("MemTotal: 8000000 kB\nMemAvailable: 4000000 kB\n")
    assert problems(findings_of(tiny)) == []
    config = experiment_in(tiny).points[0].config
    need = sum(bytes_of(config, model_size(config, RunContext())).values())
    meminfo.write_text(f"MemAvailable: {3 * need // 2048} kB\n")  # one and a half of them
    assert problems(findings_of(tiny)) == []
    only_problem(findings_of(tiny, "train.devices=2"), "fault", "memory", "to each of 2 processes")
    meminfo.write_text("MemAvailable: 4000000 kB\n")
    job = {"SLURM_JOB_ID": "1", "SLURM_MEM_PER_NODE": "2"}
    only_problem(findings_of(tiny, environment=job), "fault", "memory", "more than 2.0 MiB")


def test_what_is_not_known(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vlrouting.doctor.slurm.scheduler", lambda sweep: [])
    (finding,) = _memory(findings_of(tiny, "train.accelerator=auto", launcher="slurm"))
    assert "give --gpu-memory" in finding.found


def test_bottlenecks_that_do_not_fit(tiny: Path) -> None:
    findings = findings_of(tiny, "bottleneck.targets=[qeury.x]")
    only_problem(findings, "fault", "bottlenecks", "'qeury.x' matches no module", "targets")


IN_VISION = ("bottleneck.tower=vision", "bottleneck.routing=none")


def test_the_vision_tower_counts_and_is_checked_where_it_trains(tiny: Path) -> None:
    config = experiment_in(tiny, *IN_VISION).points[0].config
    trained: JointModel = build_point(config, SharedInputs(torch.device("cpu"))).task.model
    size = model_size(config, RunContext())
    assert size.trainable == trained.trainable_parameters
    findings = findings_of(tiny, *IN_VISION, "bottleneck.targets=[qeury.x]")
    only_problem(findings, "fault", "bottlenecks", "'qeury.x' matches no module", "targets")
    checkpointed = (*IN_VISION, "train.gradient_checkpointing=true")
    assert not problems(findings_of(tiny, *checkpointed))
    context, per_task = RunContext(), (*IN_VISION, "bottleneck.per_task=true")
    assert model_size(experiment_in(tiny, *per_task).points[0].config, context).trainable == size.trainable
    with pytest.raises(Misfit, match="without the task"):  # the other point of a sweep
        model_size(experiment_in(tiny, *per_task, "train.gradient_checkpointing=true").points[0].config, context)


def test_the_worst_of_several_points_speaks_for_all(tiny: Path) -> None:
    (tiny / "tiny.yaml").write_text((tiny / "tiny.yaml").read_text() + "sweep: {grid: {bottleneck.rank: [2, 512]}}\n")
    (finding,) = _memory(findings_of(tiny))
    config = experiment_in(tiny).points[1].config
    training = bytes_of(config, model_size(config, RunContext()))["training"]
    assert f"training {training / 2**20:.1f} MiB" in finding.found


def test_one_step_is_measured_on_request(tiny: Path) -> None:
    sweep = "sweep: {grid: {train.batch_size: [8, 48]}}\n"
    (tiny / "tiny.yaml").write_text((tiny / "tiny.yaml").read_text() + sweep)
    findings = findings_of(tiny, measure=True)
    assert problems(findings) == []
    _, measured = _memory(findings)
    assert measured.points == ("batch_size=48",)
    assert measured.found.startswith("a training step of 48 examples x 20 tokens on cpu")
    assert "as measured" in measured.found
    small = findings_of(tiny, "train.accelerator=auto", gpu_memory=0.05, measure=True)
    (fault,) = [finding for finding in problems(small) if "as measured" in finding.found]
    assert fault.level == "fault" and "train.accumulate" in fault.remedy


@pytest.mark.parametrize("override", ["vision.cache=true", "vision.cache=false", "train.precision=bf16-mixed"])
@pytest.mark.parametrize("task", ["classify", "caption"])
def test_a_step_of_every_kind_of_model(tiny: Path, tmp_path: Path, task: str, override: str) -> None:
    if task == "caption":
        write_caption_experiment(tmp_path)
    config = experiment_in(tmp_path if task == "caption" else tiny, override).points[0].config
    measure.run_step(config, config.data.name, model_size(config, RunContext()), torch.device("cpu"))


def test_running_out_of_memory_is_a_fault(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(measure, "run_step", fail)
    only_problem(findings_of(tiny, measure=True), "fault", "memory", "runs out of memory", "train.accumulate")
