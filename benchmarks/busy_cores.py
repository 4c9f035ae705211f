"""What waiting threads cost when another program has one of the cores, by OMP_WAIT_POLICY.

    python benchmarks/busy_cores.py

Times the same chain of small matrix products in fresh processes, alone and beside a program that never rests: compare
the ratios, not the seconds.
"""

from __future__ import annotations

import os
import subprocess
import sys

PRODUCTS = """
import time
import torch
x, w = torch.randn(200, 384), torch.randn(384, 384)
for _ in range(200):
    x = torch.tanh(x @ w)
start = time.perf_counter()
for _ in range(2000):
    x = torch.tanh(x @ w)
print(time.perf_counter() - start)
"""


def seconds(policy: str) -> float:
    """Of one process with this policy."""
    environment = {**os.environ, "OMP_WAIT_POLICY": policy}
    environment.pop("OMP_NUM_THREADS", None)
    done = subprocess.run([sys.executable, "-c", PRODUCTS], env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout)


def main() -> None:
    """Print a line per policy."""
    alone = {policy: seconds(policy) for policy in ("ACTIVE", "PASSIVE")}
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as busy:
        beside = {policy: seconds(policy) for policy in alone}
        busy.kill()
    for policy in alone:
        ratios = f"{alone[policy] / alone['ACTIVE']:.2f}x alone, {beside[policy] / alone['ACTIVE']:.2f}x beside another"
        print(f"{policy}: {ratios}")


if __name__ == "__main__":
    main()
