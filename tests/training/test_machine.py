"""Freed memory is kept: seen from outside, in a program of its own."""

import subprocess
import sys

import pytest

PROGRAM = """
import sys
import torch
from vlrouting.training.machine import keep_freed_memory

def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096

if sys.argv[1] == "keep":
    assert keep_freed_memory()
torch.ones(40_000_000)  # 160 MB, freed at once
print(resident())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc's setting; other systems have none")
def test_a_freed_block_stays_with_the_process() -> None:
    sizes = {}
    for how in ("keep", "leave"):
        done = subprocess.run([sys.executable, "-c", PROGRAM, how], capture_output=True, text=True, check=True)
        sizes[how] = int(done.stdout)
    assert sizes["keep"] - sizes["leave"] > 100_000_000
