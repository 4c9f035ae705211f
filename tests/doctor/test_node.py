"""What every node looks at as it starts."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.doctor.checking import experiment_in, only_problem, problems
from tests.doctor.test_network import JOB
from vlrouting.doctor import node_findings


def test_a_valid_node(tiny: Path) -> None:
    config = experiment_in(tiny, "train.devices=2").points[0].config
    assert problems(node_findings(config, tiny / "runs" / "tiny" / "default", JOB)) == []
    started = {**JOB, "RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}
    assert problems(node_findings(config, environment=started)) == []


def test_a_node_without_the_data(tiny: Path) -> None:
    config = experiment_in(tiny).points[0].config
    shutil.rmtree(tiny / "data" / "train2014")
    only_problem(node_findings(config, tiny, {}), "fault", "data", "train2014", "vlrouting data fetch vqav2")


def test_a_node_that_cannot_write(tiny: Path) -> None:
    config = experiment_in(tiny).points[0].config
    only_problem(node_findings(config, Path("/proc/vlrouting"), {}), "fault", "disk", "/proc/vlrouting", "shared disk")


def test_a_job_that_does_not_fit(tiny: Path) -> None:
    config = experiment_in(tiny, "train.devices=4").points[0].config
    (fault,) = [f for f in problems(node_findings(config, tiny, JOB)) if f.level == "fault"]
    assert "SLURM_NTASKS_PER_NODE is 2" in fault.found and "--ntasks-per-node=4" in fault.remedy
