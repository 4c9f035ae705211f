"""How the processes of a point find each other: host names, and the port of the first."""

from __future__ import annotations

import errno
import ipaddress
import re
import socket
from collections.abc import Iterator, Mapping

from vlrouting.config import ExperimentConfig
from vlrouting.config.finding import FAULT, OK, WARNING, Finding
from vlrouting.doctor.subject import RunContext

PLACE = "network"


def host_name(config: ExperimentConfig, context: RunContext) -> Iterator[Finding]:
    """This host's own name resolves: gloo listens at the address that it gives."""
    if config.train.processes == 1:
        return
    name = socket.gethostname()
    addresses = context.once(("address", name), lambda: addresses_of(name))
    if not addresses:
        remedy = f"add a line with its address and '{name}' to /etc/hosts"
        level = FAULT if config.train.nodes > 1 else WARNING
        yield Finding(level, PLACE, f"the name of this host, {name}, does not resolve", remedy)
    elif config.train.nodes > 1 and all(ipaddress.ip_address(address).is_loopback for address in addresses):
        remedy = "name the interface between the nodes: export GLOO_SOCKET_IFNAME=… NCCL_SOCKET_IFNAME=… (`ip address`)"
        found = f"the name of this host, {name}, resolves to {addresses[0]}, where other nodes cannot reach it"
        yield Finding(WARNING, PLACE, found, remedy)
    else:
        yield Finding(OK, PLACE, f"{name} resolves to {addresses[0]}")


def meeting_place(config: ExperimentConfig, context: RunContext) -> Iterator[Finding]:
    """The first node's name resolves, and its port is free."""
    # Where a local launcher started this process, it holds the port itself.
    named = "MASTER_ADDR" in context.environment and not context.elsewhere
    if config.train.processes == 1 or "RANK" in context.environment or not (named or context.in_job):
        return
    address, port = first_host(context.environment), port_of(context.environment)
    if port is None:
        found = f"MASTER_PORT is '{context.environment.get('MASTER_PORT')}', which is no port"
        yield Finding(FAULT, PLACE, found, "unset MASTER_PORT, or give a number between 1024 and 65535")
        return
    if not context.once(("address", address), lambda: addresses_of(address)):
        remedy = "set MASTER_ADDR to a name or address of the first node that every node can resolve"
        yield Finding(FAULT, PLACE, f"the first node, {address}, does not resolve", remedy)
    elif not _is_first(context.environment, address):
        yield Finding(OK, PLACE, f"the processes meet at {address}:{port}")
    elif problem := _port_problem(port):
        remedy = "export MASTER_PORT=… with another number between 1024 and 65535"
        yield Finding(FAULT, PLACE, f"port {port}, where the processes meet, is not free ({problem})", remedy)
    else:
        yield Finding(OK, PLACE, f"the processes meet at {address}:{port}, which is free")


def addresses_of(name: str) -> list[str]:
    """What a host name resolves to; empty where it does not."""
    try:
        return sorted({str(entry[4][0]).partition("%")[0] for entry in socket.getaddrinfo(name, None)})
    except (OSError, UnicodeError):
        return []


def first_host(environment: Mapping[str, str]) -> str:
    """MASTER_ADDR, or the first of SLURM_NODELIST, found as Lightning's SLURMEnvironment does (which takes seconds to
    import): `gpu[05-09],cpu1` -> `gpu05`."""
    if "MASTER_ADDR" in environment:
        return environment["MASTER_ADDR"]
    nodes = environment.get("SLURM_NODELIST", "127.0.0.1")
    nodes = re.sub(r"\[(.*?)[,-].*\]", "\\1", nodes)
    nodes = re.sub(r"\[(.*?)\]", "\\1", nodes)
    return nodes.split(" ")[0].split(",")[0]


def port_of(environment: Mapping[str, str]) -> int | None:
    """MASTER_PORT, or what Lightning's SLURMEnvironment makes of the job's id; None for a MASTER_PORT that is none."""
    given = environment.get("MASTER_PORT")
    if given is not None:
        return int(given) if given.isdigit() and 0 < int(given) < 65536 else None
    job = environment.get("SLURM_JOB_ID")
    return 12910 if job is None else 15000 + int(job[-4:])


def _is_first(environment: Mapping[str, str], address: str) -> bool:
    """Whether this is the node where the port is opened."""
    if "SLURM_NODEID" in environment:
        return environment["SLURM_NODEID"] == "0"
    return address in (socket.gethostname(), "localhost", "127.0.0.1")


def _port_problem(port: int) -> str | None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as opened:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as torch does: a port just left is free
        try:
            opened.bind(("", port))
        except OSError as error:
            return "another program listens there" if error.errno == errno.EADDRINUSE else str(error.strerror)
    return None
