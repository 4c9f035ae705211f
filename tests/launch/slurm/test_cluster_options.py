"""Every key of a cluster file changes the batch script as it should."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from pathlib import Path

import pytest

from vlrouting.config.cluster import ClusterConfig
from vlrouting.experiment import Experiment
from vlrouting.launch.slurm.script import Submission, batch_script, shape_of

LINES = {
    "partition": ("night", "#SBATCH --partition=night"),
    "account": ("vision", "#SBATCH --account=vision"),
    "qos": ("low", "#SBATCH --qos=low"),
    "time": ("2-00:00:00", "#SBATCH --time=2-00:00:00"),
    "memory": ("64G", "#SBATCH --mem=64G"),
    "cpus_per_task": (7, "#SBATCH --cpus-per-task=7"),
    "constraint": ("a100|h100", "#SBATCH --constraint='a100|h100'"),
    "gpus": (True, "#SBATCH --gpus-per-node=1"),
    "gpu_request": ("gres", "#SBATCH --gres=gpu:1"),
    "gpu_type": ("a100", "#SBATCH --gpus-per-node=a100:1"),
    "modules": (["cuda/12.4"], "module load cuda/12.4"),
    "setup": (["cp -r data $TMPDIR"], "cp -r data $TMPDIR"),
    "environment": ({"HF_HOME": "/a b"}, "export HF_HOME='/a b'"),
    "sbatch": (["--exclusive"], "#SBATCH --exclusive"),
    "srun_options": ("--container-image=/x.sqsh", "  --container-image=/x.sqsh \\"),
    "command_prefix": ("apptainer exec /x.sif", "  apptainer exec /x.sif \\"),
    "python": ("/env/bin/python", '  /env/bin/python -m vlrouting.launch.worker "$run"'),
    "max_points_at_once": (3, "#SBATCH --array=0-1%3"),
    "signal_seconds": (45, "#SBATCH --signal=USR2@45"),
}
"""Key -> a value, and the line of the script that it gives. `retries` is in the record (test_submit.py)."""


def script(experiment: Experiment, cluster: ClusterConfig) -> list[str]:
    points = [replace(point, config=_on_any_device(point.config)) for point in experiment.points]
    runs = tuple(Path("runs/x") / point.name for point in points)
    shape = shape_of(points, cluster)
    return batch_script(Submission("x", runs, shape, cluster, Path("/home"), Path("out"), "python3")).splitlines()


def _on_any_device(config):  # type: ignore[no-untyped-def]
    return replace(config, train=replace(config.train, accelerator="auto"))


@pytest.mark.parametrize("key", LINES)
def test_the_key_gives_its_line(experiment: Experiment, key: str) -> None:
    value, line = LINES[key]
    base = ClusterConfig(gpus=key.startswith("gpu_"))
    assert line not in script(experiment, base)
    assert line in script(experiment, replace(base, **{key: value}))


def test_every_key_is_here() -> None:
    assert {field.name for field in dataclasses.fields(ClusterConfig)} == LINES.keys() | {"retries"}
