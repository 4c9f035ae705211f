"""The batch script: its text for the three cluster files that ship, and what bash makes of it."""

from __future__ import annotations

import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from vlrouting.config.cluster import ClusterConfig
from vlrouting.experiment import Experiment, Point, UserError
from vlrouting.experiment.attempts import Attempts
from vlrouting.experiment.cluster import load_cluster
from vlrouting.launch.slurm.script import Shape, Submission, batch_script, shape_of

REPOSITORY = Path(__file__).parents[3]
GOLDEN = REPOSITORY / "tests" / "fixtures" / "slurm"
RUNS = (Path("runs/x/routing=none"), Path("runs/x/routing=mul"))
CPU = ClusterConfig(gpus=False)


def submission(cluster: ClusterConfig, shape: Shape, runs: tuple[Path, ...] = RUNS) -> Submission:
    return Submission("x", runs, shape, cluster, Path("/home/me/project"), Path("runs/x/.sweep"), "/opt/env/bin/python")


@pytest.mark.parametrize(
    ("name", "shape"),
    [("default", Shape(1, 1, True)), ("gpu", Shape(2, 4, True)), ("container", Shape(1, 4, True))],
)
def test_golden_text_of_the_cluster_files_that_ship(name: str, shape: Shape) -> None:
    text = batch_script(submission(load_cluster(name, REPOSITORY / "experiments"), shape))
    assert text == (GOLDEN / f"{name}.sbatch").read_text()
    subprocess.run(["bash", "-n"], input=text, text=True, check=True)


def option_lines(cluster: ClusterConfig, shape: Shape) -> list[str]:
    text = batch_script(submission(cluster, shape))
    return [line.removeprefix("#SBATCH ") for line in text.splitlines() if line.startswith("#SBATCH ")]


def test_the_shape_is_asked_for() -> None:
    lines = option_lines(CPU, Shape(3, 2, False))
    assert {"--nodes=3", "--ntasks-per-node=2", "--array=0-1", "--requeue", "--open-mode=append"} <= set(lines)
    assert not any("gpu" in line or "gres" in line for line in lines)
    for absent in ("--partition", "--time", "--mem", "--constraint", "--account", "--qos"):
        assert not any(line.startswith(absent) for line in lines)


def test_both_ways_to_ask_for_gpus() -> None:
    two = Shape(1, 2, True)
    assert "--gpus-per-node=2" in option_lines(ClusterConfig(), two)
    assert "--gpus-per-node=a100:2" in option_lines(ClusterConfig(gpu_type="a100"), two)
    assert "--gres=gpu:2" in option_lines(ClusterConfig(gpu_request="gres"), two)
    assert "--gres=gpu:a100:2" in option_lines(ClusterConfig(gpu_request="gres", gpu_type="a100"), two)


def test_no_name_makes_the_job_look_interactive() -> None:
    assert replace(submission(CPU, Shape(1, 1, False)), experiment="bash").job_name == "vlrouting-bash"
    assert replace(submission(CPU, Shape(1, 1, False)), experiment="mine/x").job_name == "vlrouting-mine-x"


def with_train(point: Point, name: str, **changes: object) -> Point:
    train = replace(point.config.train, **changes)  # type: ignore[arg-type]
    return replace(point, name=name, config=replace(point.config, train=train))


def test_shapes(experiment: Experiment) -> None:
    point = experiment.points[0]
    two = with_train(point, "two", devices=2, nodes=3, accelerator="auto")
    assert shape_of([point], ClusterConfig()) == Shape(1, 1, False)
    assert shape_of([two], ClusterConfig()) == Shape(3, 2, True)
    assert shape_of([two], CPU) == Shape(3, 2, False)
    with pytest.raises(UserError, match=r"routing=none: 1 nodes x 1 processes; two: 3 nodes x 2 GPUs\. Submit them"):
        shape_of([point, two], ClusterConfig())
    with pytest.raises(UserError, match=r"g: train\.accelerator is gpu, but the cluster file says gpus: false"):
        shape_of([with_train(point, "g", accelerator="gpu")], CPU)


def test_a_percent_sign_in_a_path_is_refused() -> None:
    with pytest.raises(UserError, match="SLURM reads % in the name of a file"):
        batch_script(submission(CPU, Shape(1, 1, False), (Path("runs/50%/a"),)))


class Job:
    """The script run by bash in a folder, with an srun that does what the test says."""

    def __init__(self, folder: Path, srun: str, cluster: ClusterConfig = CPU, index: int = 0) -> None:
        self.folder = folder
        self.runs = (Path("runs/it's one"), Path("runs/a=$HOME,b"))
        for run in self.runs:
            (folder / run).mkdir(parents=True)
        self._program("python", f'printf "%s\\n" "$@" > {folder}/after.txt\nexit 9')
        self._program("srun", f'printf "%s\\n" "$@" > {folder}/srun.txt\n{srun}')
        text = batch_script(
            replace(submission(cluster, Shape(1, 1, False), self.runs), python=str(folder / "bin" / "python"))
        )
        (folder / "job.sbatch").write_text(text)
        environment = {"PATH": f"{folder}/bin:/usr/bin:/bin", "HOME": "/nowhere", "SLURM_ARRAY_JOB_ID": "7"}
        environment |= {"SLURM_ARRAY_TASK_ID": str(index), "SLURM_JOB_NODELIST": "n1"}
        self.process = subprocess.Popen(["bash", "job.sbatch"], cwd=folder, env=environment)

    def _program(self, name: str, text: str) -> None:
        path = self.folder / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/bash\n{text}\n")
        path.chmod(0o755)

    def ends(self) -> list[str]:
        """What the decision was asked: run, status, attempts before."""
        assert self.process.wait(timeout=20) == 9  # the decision's own
        arguments = (self.folder / "after.txt").read_text().splitlines()
        assert arguments[:2] == ["-m", "vlrouting.launch.slurm.after"]
        return arguments[2:]

    @property
    def srun(self) -> list[str]:
        path = self.folder / "srun.txt"
        return path.read_text().splitlines() if path.exists() else []


@pytest.mark.parametrize("index", [0, 1])
def test_a_task_runs_its_own_point_whatever_its_name(tmp_path: Path, index: int) -> None:
    job = Job(tmp_path, "exit 3", index=index)
    assert job.ends() == [str(job.runs[index]), "3", "0"]
    assert job.srun[-3:] == ["-m", "vlrouting.launch.worker", str(job.runs[index])]
    assert f"--output={job.runs[index]}/log.txt" in job.srun and "--open-mode=append" in job.srun
    assert "task 7_" in (tmp_path / job.runs[index] / "log.txt").read_text()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR2])
def test_the_script_outlives_a_signal_and_decides(tmp_path: Path, number: signal.Signals) -> None:
    job = Job(tmp_path, f"echo begun > {tmp_path}/begun.txt\n/bin/sleep 1.5\nexit 75")
    end = time.monotonic() + 10
    while not (tmp_path / "begun.txt").exists() and time.monotonic() < end:
        time.sleep(0.02)
    job.process.send_signal(number)
    assert job.ends()[1] == "75"


def test_set_up_in_order_and_with_its_variables(tmp_path: Path) -> None:
    (tmp_path / "profile").write_text("module() { export LOADED=$2; }\n")
    lines = [f"source {tmp_path}/profile", "module load cuda/12.4", "export SECOND=$FIRST.$LOADED"]
    cluster = replace(CPU, setup=lines, environment={"FIRST": "a $b", "OMP_NUM_THREADS": "3"}, cpus_per_task=2)
    job = Job(tmp_path, 'echo "$SECOND|$OMP_NUM_THREADS" > env.txt', cluster)
    assert job.ends()[1] == "0"
    assert (tmp_path / "env.txt").read_text() == "a $b.cuda/12.4|3\n"
    assert "--cpus-per-task=2" in job.srun


def test_a_container_in_either_form(tmp_path: Path) -> None:
    cluster = replace(CPU, srun_options='--container-image="$HOME/my image"', command_prefix="wrap --nv", python="py 3")
    job = Job(tmp_path, "exit 0", cluster)
    job.ends()
    worker = ["-m", "vlrouting.launch.worker", str(job.runs[0])]
    assert job.srun[-6:] == ["wrap", "--nv", "py 3", *worker]
    assert job.srun.index("--container-image=/nowhere/my image") < job.srun.index("bash")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_a_rank_that_a_signal_kills_is_noted(tmp_path: Path, number: signal.Signals) -> None:
    """The fake srun runs what it is given, as rank 1 of 2."""
    ranks = "export SLURM_PROCID=1 SLURM_NTASKS=2 SLURM_STEP_ID=0 SLURMD_NODENAME=n2 SLURM_JOB_ID=9"
    srun = f'{ranks}\nwhile [ "$1" != bash ]; do shift; done\n"$@"'
    cluster = replace(CPU, python="./dies")
    (tmp_path / "dies").write_text(f"#!/bin/bash\nkill -{number.value} $$\n")
    (tmp_path / "dies").chmod(0o755)
    job = Job(tmp_path, srun, cluster)
    assert job.ends()[1] == str(128 + number)
    attempts = Attempts(tmp_path / job.runs[0] / "attempts.jsonl").read()
    if number == signal.SIGTERM:  # which a worker that saves has as its status too
        assert attempts == []
    else:
        (attempt,) = attempts
        assert (attempt.outcome, attempt.rank, attempt.signal, attempt.host, attempt.job) == (
            *("killed", 1, number.name, "n2"),
            "7_0",
        )
        assert attempt.reason == f"rank 1 of 2 was killed by {number.name}"


def test_modules_are_loaded_before_the_set_up_lines() -> None:
    text = batch_script(submission(replace(CPU, modules=["a b", "c"], setup=["echo then"]), Shape(1, 1, False)))
    lines = text.splitlines()
    assert lines.index("module load 'a b' c") < lines.index("echo then")
    assert "export OMP_NUM_THREADS=4" in lines


def test_a_set_up_line_that_fails_is_told_and_nothing_is_started(tmp_path: Path) -> None:
    job = Job(tmp_path, "exit 0", replace(CPU, setup=["ls /not/there"]))
    assert job.ends()[1] == "2"
    assert job.srun == []
    assert "set-up failed with status 2: ls /not/there" in (tmp_path / job.runs[0] / "log.txt").read_text()


def test_attempts_from_before_are_counted(tmp_path: Path) -> None:
    run = tmp_path / "runs" / "it's one"
    job = Job(tmp_path, "exit 0")
    assert job.ends()[2] == "0"
    for _ in range(2):
        Attempts(run / "attempts.jsonl").begin("host", "7_0")
        Attempts(run / "attempts.jsonl").end("failed", 1, 'it said "begin"')
    again = subprocess.run(
        ["bash", "job.sbatch"], cwd=tmp_path, env={"PATH": f"{tmp_path}/bin:/usr/bin:/bin", "SLURM_ARRAY_TASK_ID": "0"}
    )
    assert again.returncode == 9
    assert (tmp_path / "after.txt").read_text().splitlines()[-1] == "2"
