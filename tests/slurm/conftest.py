"""A real SLURM cluster of two nodes on this machine, for the tests that need one: `make test-slurm`."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.tiny_experiment import write_caption_experiment, write_experiment, write_tuned_experiment
from vlrouting.experiment import RunDirectory

SCRIPT = Path(__file__).with_name("local_slurm.sh")
REPOSITORY = Path(__file__).parents[2]
PATIENCE = 1800.0
"""Seconds after which a test gives up: no test depends on how fast the machine is."""

# Imported by every process: a run that lasts long enough to be interrupted, without being any more work.
SLOW = """
import time
from vlrouting.tasks.scored import TaskModule
original = TaskModule.training_step

def training_step(self, batch, batch_index):
    time.sleep(0.15)
    return original(self, batch, batch_index)

TaskModule.training_step = training_step
"""


@dataclass
class Cluster:
    """What a user of the cluster can do."""

    environment: dict[str, str]

    def call(self, *command: str, check: bool = True, folder: Path | None = None) -> str:
        """A command's output."""
        done = subprocess.run(
            command, env=self.environment, cwd=folder, capture_output=True, text=True, timeout=PATIENCE
        )
        assert not check or done.returncode == 0, f"{command}: {done.stdout[-2000:]}{done.stderr[-3000:]}"
        return done.stdout + done.stderr

    def vlrouting(self, folder: Path, *arguments: str, check: bool = True) -> str:
        """The command line, in a folder."""
        return self.call(sys.executable, "-m", "vlrouting.cli", *arguments, check=check, folder=folder)

    def states(self, job: str) -> list[str]:
        """State of every task of a job array, those that ended too."""
        return self.call("squeue", "-h", "-r", "-t", "all", "-j", job, "-o", "%T", check=False).split()

    def restarts(self, job: str) -> int:
        """How often the scheduler started a task again."""
        shown = self.call("scontrol", "show", "job", job, "-o", check=False)
        return int(shown.partition("Restarts=")[2].split()[0])


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Two nodes, started once, stopped at the end."""
    if os.geteuid() != 0:
        pytest.skip("local_slurm.sh must run as root")
    settings = {"LOCAL_SLURM_DIR": "/tmp/vlrouting_slurm", "LOCAL_SLURM_PORT": "28817", "LOCAL_SLURM_CPUS": "8"}
    started = subprocess.run(
        [SCRIPT, "start", "2"], env={**os.environ, **settings}, capture_output=True, text=True, timeout=600
    )
    if "apt-get failed" in started.stderr:
        pytest.skip(f"SLURM's packages cannot be installed: {started.stderr[-500:]}")
    assert started.returncode == 0, started.stderr
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("SLURM_")},
        "SLURM_CONF": "/tmp/vlrouting_slurm/slurm.conf",
        "PYTHONPATH": str(REPOSITORY),
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
    }
    yield Cluster(environment)
    subprocess.run([SCRIPT, "stop"], env={**os.environ, **settings}, check=True, timeout=300)


@pytest.fixture
def folder(tmp_path: Path) -> Callable[..., Path]:
    """A user's folder: `tiny.yaml`, its data, and a file for the cluster."""

    def make(
        captions: bool = False, cluster: dict[str, object] | None = None, tuned: bool = False, **sections: object
    ) -> Path:
        (tmp_path / "slow.py").write_text(SLOW)
        other = write_caption_experiment if captions else write_experiment
        (write_tuned_experiment if tuned else other)(tmp_path, **sections)
        options = {"gpus": False, "cpus_per_task": 1, "time": "60", "signal_seconds": 30, **(cluster or {})}
        (tmp_path / "cluster.yaml").write_text(yaml.safe_dump(options))
        return tmp_path

    return make


def submit(cluster: Cluster, folder: Path, *arguments: str) -> str:
    """Submit `tiny.yaml` for two nodes with one process each; the job's id."""
    shape = ("--launcher", "slurm", "--cluster", "cluster.yaml", "--nodes", "2", "--gpus", "1")
    told = cluster.vlrouting(folder, "sweep", "tiny.yaml", *shape, *arguments)
    found = re.search(r"job (\d+)", told)
    assert found, told
    return found[1]


def wait_for(cluster: Cluster, runs: list[RunDirectory], wanted: str = "complete", seconds: float = PATIENCE) -> None:
    """Until every run has a status, and none of them waits for another start; one that failed for good is shown."""
    deadline = time.monotonic() + seconds
    while not (_all_are(runs, wanted) and (wanted == "complete" or _idle(cluster))):
        failed = [run for run in runs if run.status() == "failed"]
        if failed and wanted != "failed" and _idle(cluster) and failed[0].status() == "failed":
            pytest.fail(f"{failed[0].path}: {failed[0].read_run().get('error')}\n{failed[0].log.read_text()[-4000:]}")
        if time.monotonic() > deadline:
            shown = cluster.call("squeue", "-r", "-t", "all", check=False)
            logs = "\n".join(f"{run.path} {run.status()}\n{run.log.read_text()[-2500:]}" for run in runs)
            pytest.fail(f"not {wanted} after {seconds:.0f} s\n{shown}\n{logs}")
        time.sleep(0.5)


def _all_are(runs: list[RunDirectory], wanted: str) -> bool:
    return {run.status() for run in runs} == {wanted}


def _idle(cluster: Cluster) -> bool:
    """Whether nothing waits, runs or ends."""
    return not cluster.call("squeue", "-h").strip()
