"""Cluster files: found by name, checked as experiments are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from vlrouting.config.cluster import ClusterConfig, seconds_of
from vlrouting.experiment import ExperimentErrors, UserError, known_experiments, load
from vlrouting.experiment.cluster import load_cluster

SHIPPED = Path(__file__).parents[2] / "experiments"


def write(experiments: Path, text: str) -> Path:
    file = experiments / "cluster" / "mine.yaml"
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, encoding="utf-8")
    return file


def error_lines(experiments: Path, text: str) -> list[str]:
    write(experiments, text)
    with pytest.raises(ExperimentErrors) as caught:
        load_cluster("mine")
    return [line.removeprefix("experiments/cluster/") for line in str(caught.value).split("\n")]


@pytest.mark.parametrize("name", ["default", "gpu", "container"])
def test_the_shipped_ones_are_valid_and_are_no_experiments(name: str) -> None:
    assert load_cluster(name, SHIPPED) != ClusterConfig()
    assert f"cluster/{name}" not in known_experiments(SHIPPED)


def test_every_error_at_once_with_its_line(experiments: Path) -> None:
    assert error_lines(
        experiments,
        "partitoin: x\ntime: 12:00:00\nmemory: lots\ncpus_per_task: many\ngpu_request: gress\n"
        "environment: {2X: a, Y: no}\nsbatch: [--nodes=3, -x n1, --exclusive]\nsetup: echo\nretries: -1\n",
    ) == [
        "mine.yaml:1: partitoin: unknown key. Did you mean 'partition'?",
        'mine.yaml:2: time: expected a time limit in quotes, such as "12:00:00"; YAML reads a number',
        "mine.yaml:3: memory: 'lots' is no amount of memory; write 64G or 64000M",
        "mine.yaml:4: cpus_per_task: expected a whole number, got 'many'",
        "mine.yaml:5: gpu_request: 'gress' is not one of gpus_per_node, gres. Did you mean 'gres'?",
        "mine.yaml:6: environment.Y: expected a text, got false. YAML reads words such as no and on as true or false, "
        "and 2024-01-31 as a date: put a text in quotes",
        "mine.yaml:6: environment.2X: is no name of a variable",
        "mine.yaml:7: sbatch: --nodes is written from the experiment or from another key; take it out",
        "mine.yaml:7: sbatch: '-x n1' is no option in its long form, such as --exclusive or --mail-type=FAIL; "
        "write one option an entry",
        "mine.yaml:8: setup: expected a list of texts, got 'echo'",
        "mine.yaml:9: retries: -1 is below 0",
    ]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ('time: "soon"', "time: 'soon' is no time limit; write"),
        ('time: "00:02:00"', "signal_seconds, time: 120 seconds leave nothing of the time limit 00:02:00"),
        ("signal_seconds: 70000", "signal_seconds: 70000 is above 65,535"),
        ("signal_seconds: 0", "signal_seconds: 0 is below 1"),
        ("cpus_per_task: 0", "cpus_per_task: 0 is below 1"),
        ("max_points_at_once: 0", "max_points_at_once: 0 is below 1"),
        ('account: ""', "account: '' is not one line of text; leave it out, or null"),
        ('command_prefix: "a\\nb"', "command_prefix: 'a\\nb' is not one line of text"),
        ("extends: [base/short]", "extends: unknown key."),
        ("sweep: {}", "sweep: unknown key."),
        ("- 1", "expected keys with values"),
        ("time: [", "not valid YAML: "),
    ],
)
def test_one_error(experiments: Path, given: str, expected: str) -> None:
    (line,) = error_lines(experiments, given + "\n")
    place, _, said = line.partition(": ")
    assert place.startswith("mine.yaml") and said.startswith(expected)


def test_the_example_of_the_guide(experiments: Path) -> None:
    (block,) = re.findall(r"```yaml\n(.*?)```", (SHIPPED.parent / "docs" / "cluster.md").read_text(), flags=re.DOTALL)
    write(experiments, block)
    cluster = load_cluster("mine")
    assert cluster.memory == "120G" and cluster.setup == ["export HF_HOME=$SCRATCH/huggingface"]


def test_without_a_name(experiments: Path) -> None:
    assert load_cluster(None) == ClusterConfig()
    write(experiments, "partition: p\n").rename(experiments / "cluster" / "default.yaml")
    assert load_cluster(None) == ClusterConfig(partition="p")


def test_shell_text_stays_as_it_is(experiments: Path) -> None:
    lines = ["export A=${HOME}/x", r"echo \${A} \\${B}", "cd ${SCRATCH:-/tmp}"]
    write(experiments, "setup:\n" + "".join(f"  - '{line}'\n" for line in lines) + "environment: {N: 4, H: '${X}'}\n")
    assert load_cluster("mine").setup == lines
    assert load_cluster("mine").environment == {"N": "4", "H": "${X}"}


def test_by_path_or_by_name(experiments: Path) -> None:
    file = write(experiments, "partition: p\n")
    assert load_cluster(str(file)) == load_cluster("mine") == ClusterConfig(partition="p")
    with pytest.raises(UserError, match=r"no cluster 'mone'\. Did you mean 'mine'\? Known ones in .*: mine\."):
        load_cluster("mone")
    with pytest.raises(UserError, match="no experiment 'cluster/mine'"):
        load("cluster/mine")


@pytest.mark.parametrize(
    ("limit", "seconds"),
    [
        ("90", 5400),
        ("1:30", 90),
        ("12:00:00", 43200),
        ("1-0", 86400),
        ("1-02:03", 93780),
        ("1-00:00:01", 86401),
        ("1:2:3:4", None),
        ("-1", None),
    ],
)
def test_time_limits(limit: str, seconds: int | None) -> None:
    assert seconds_of(limit) == seconds
