"""Names that do not resolve, and a port that is taken."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from lightning.fabric.plugins.environments import SLURMEnvironment

from tests.doctor.checking import findings_of, only_problem, problems
from vlrouting.doctor import network

JOB = {
    "SLURM_JOB_ID": "12345", "SLURM_JOB_NAME": "vlrouting", "SLURM_NODELIST": "localhost", "SLURM_NODEID": "0",
    "SLURM_PROCID": "0", "SLURM_STEP_ID": "0", "SLURM_NNODES": "1", "SLURM_NTASKS": "2", "SLURM_NTASKS_PER_NODE": "2",
}  # fmt: skip
TWO_NODES = {**JOB, "SLURM_NNODES": "2", "SLURM_NTASKS_PER_NODE": "1"}


def test_this_hosts_name(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "nowhere.invalid")
    assert problems(findings_of(tiny)) == []  # a single process meets nobody
    only_problem(findings_of(tiny, "train.devices=2"), "warning", "network", "nowhere.invalid", "/etc/hosts")
    findings = findings_of(tiny, "train.nodes=2", environment=TWO_NODES)
    only_problem(findings, "fault", "network", "nowhere.invalid", "/etc/hosts")


def test_a_name_that_means_this_machine_alone(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "localhost")
    findings = findings_of(tiny, "train.nodes=2", environment=TWO_NODES)
    only_problem(findings, "warning", "network", "localhost, resolves to 127.0.0.1", "GLOO_SOCKET_IFNAME")
    assert problems(findings_of(tiny, "train.devices=2", environment=JOB)) == []


def test_the_first_node(tiny: Path) -> None:
    for variables in ({"SLURM_NODELIST": "nowhere[5-9].invalid"}, {"MASTER_ADDR": "nowhere5.invalid"}):
        findings = findings_of(tiny, "train.devices=2", environment={**JOB, **variables})
        only_problem(findings, "fault", "network", "nowhere5", "set MASTER_ADDR")


def _listening() -> socket.socket:
    """A program at a port that a job's id leads to."""
    for port in range(15000, 25000):
        taken = socket.socket()
        try:
            taken.bind(("", port))
        except OSError:
            taken.close()
            continue
        taken.listen()
        return taken
    raise AssertionError("all ports are taken")


@pytest.mark.parametrize("named", [True, False])
def test_a_port_that_is_taken(tiny: Path, named: bool) -> None:
    with _listening() as taken:
        port = taken.getsockname()[1]
        variables = {"MASTER_PORT": str(port)} if named else {"SLURM_JOB_ID": f"7{port - 15000:04}"}
        environment = {**JOB, **variables}
        findings = findings_of(tiny, "train.devices=2", environment=environment)
        only_problem(findings, "fault", "network", f"port {port}", "not free", "MASTER_PORT")
        assert problems(findings_of(tiny, "train.devices=2", environment={**environment, "SLURM_NODEID": "1"})) == []
        started = {**environment, "RANK": "0", "WORLD_SIZE": "2"}  # by a local launcher, which holds the port
        assert problems(findings_of(tiny, "train.devices=2", environment=started)) == []
    assert problems(findings_of(tiny, "train.devices=2", environment=environment)) == []


def test_a_port_that_is_none(tiny: Path) -> None:
    for port in ("http", "0", "70000"):
        findings = findings_of(tiny, "train.devices=2", environment={**JOB, "MASTER_PORT": port})
        only_problem(findings, "fault", "network", f"'{port}'", "unset MASTER_PORT")


@pytest.mark.filterwarnings("ignore:The `srun` command is available")
@pytest.mark.parametrize(
    "nodes", ["n1", "n1,n2", "n[1-4]", "n[01,03-05]", "gpu[5-9],cpu1", "a b c", "x[7]", "rack1-n[10-12]"]
)
def test_found_as_lightning_finds_them(nodes: str, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {"SLURM_NODELIST": nodes, "SLURM_JOB_ID": "987654"}
    assert network.first_host(environment) == SLURMEnvironment.resolve_root_node_address(nodes)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    for name in ("MASTER_PORT", "SLURM_NTASKS"):
        monkeypatch.delenv(name, raising=False)
    assert network.port_of(environment) == SLURMEnvironment().main_port
    monkeypatch.delenv("MASTER_PORT")  # which Lightning has just set
