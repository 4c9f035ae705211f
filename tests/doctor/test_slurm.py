"""A job's variables against the configuration, and a scheduler that is absent, refuses, or answers nothing.

The scheduler's programs are scripts here: what a real one says is tried in tests/slurm.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.doctor.checking import findings_of, only_problem, problems
from tests.doctor.test_network import JOB
from vlrouting.doctor import devices, node_findings, slurm
from vlrouting.doctor.devices import Gpu
from vlrouting.experiment import load

TWO = ("train.devices=2",)


def test_a_job_that_fits(tiny: Path) -> None:
    findings = findings_of(tiny, *TWO, environment=JOB)
    assert problems(findings) == []
    assert any("has what the point wants: 1 nodes x 2 tasks" in finding.found for finding in findings)


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"SLURM_NTASKS_PER_NODE": "4"}, ("SLURM_NTASKS_PER_NODE is 4", "train.devices=4", "--ntasks-per-node=2")),
        ({"SLURM_NTASKS": "3"}, ("SLURM_NTASKS is 3", "--nodes=1 --ntasks-per-node=2")),
        ({"SLURM_NNODES": "2"}, ("SLURM_NNODES is 2", "train.nodes=2", "--nodes=1")),
    ],
)
def test_tasks_and_nodes_that_do_not_fit(tiny: Path, variables: dict[str, str], words: tuple[str, ...]) -> None:
    only_problem(findings_of(tiny, *TWO, environment={**JOB, **variables}), "fault", "SLURM", *words)


def test_tasks_that_lightning_does_not_take(tiny: Path) -> None:
    environment = {name: value for name, value in JOB.items() if name != "SLURM_NTASKS_PER_NODE"}
    only_problem(
        findings_of(tiny, *TWO, environment=environment), "fault", "SLURM", "--ntasks-per-node=2 instead of --ntasks=2"
    )


def test_gpus_of_the_job(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "gpus", lambda: (Gpu("H100", True),) * 2)
    monkeypatch.setattr("vlrouting.doctor.memory.free_memory", lambda gpus: 2**34)
    wanted = (*TWO, "train.accelerator=gpu")
    findings = findings_of(tiny, *wanted, environment={**JOB, "SLURM_GPUS_ON_NODE": "1"})
    only_problem(findings, "fault", "SLURM", "SLURM_GPUS_ON_NODE is 1", "--gpus-per-node=2")
    findings = findings_of(tiny, *wanted, environment={**JOB, "SLURM_GPUS_ON_NODE": "8"})
    only_problem(findings, "warning", "SLURM", "GPUs stay idle", "train.devices=8")
    assert problems(findings_of(tiny, *wanted, environment={**JOB, "SLURM_GPUS_ON_NODE": "2"})) == []
    assert problems(findings_of(tiny, *TWO, environment={**JOB, "SLURM_GPUS_ON_NODE": "1"})) == []  # on the CPU


@pytest.mark.parametrize("name", ["bash", "interactive"])
def test_a_name_that_lightning_takes_for_interactive(tiny: Path, name: str) -> None:
    environment = {**JOB, "SLURM_JOB_NAME": name}
    only_problem(findings_of(tiny, *TWO, environment=environment), "warning", "SLURM", f"'{name}'", "--job-name")


def test_without_srun(tiny: Path) -> None:
    environment = {name: value for name, value in JOB.items() if name != "SLURM_STEP_ID"}
    only_problem(
        findings_of(tiny, *TWO, environment=environment), "warning", "SLURM", "not started by srun", "put `srun`"
    )
    config = load(str(tiny / "tiny.yaml"), list(TWO)).points[0].config
    only_problem(node_findings(config, tiny, environment), "fault", "SLURM", "not started by srun", "put `srun`")


def test_a_local_launcher_inside_of_an_allocation(tiny: Path) -> None:
    assert problems(findings_of(tiny, environment=JOB, launcher="local")) == []
    assert problems(findings_of(tiny, environment={**JOB, "RANK": "0", "WORLD_SIZE": "1"})) == []


@pytest.fixture
def scheduler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder, alone on PATH, with programs that do nothing."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in slurm.PROGRAMS:
        _program(folder / name, "exit 0")
    monkeypatch.setenv("PATH", str(folder))
    return folder


def _program(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


def test_a_scheduler_that_answers(tiny: Path, scheduler: Path) -> None:
    _program(scheduler / "sinfo", "echo 'debug*'; echo gpu")
    findings = findings_of(tiny, launcher="slurm")
    assert problems(findings) == []
    assert any("partitions: debug*, gpu" in finding.found for finding in findings)


def test_a_scheduler_that_is_absent(tiny: Path, scheduler: Path) -> None:
    (scheduler / "sbatch").unlink()
    only_problem(findings_of(tiny, launcher="slurm"), "fault", "SLURM", "not on PATH: sbatch", "login node")


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("echo 'slurm_load_partitions: Unable to contact slurm controller' >&2; exit 1", "Unable to contact"),
        ("exit 0", "no partition is listed"),
        ("while :; do :; done", "did not answer `sinfo` in 1 seconds"),
    ],
)
def test_a_scheduler_that_does_not_answer(
    tiny: Path, scheduler: Path, monkeypatch: pytest.MonkeyPatch, line: str, word: str
) -> None:
    monkeypatch.setattr(slurm, "SECONDS", 1)
    _program(scheduler / "sinfo", line)
    only_problem(findings_of(tiny, launcher="slurm"), "fault", "SLURM", word, "try `sinfo` by hand")
