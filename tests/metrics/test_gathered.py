"""Predictions gathered over two real processes, and work that the first one does for both.

Run as a program, this file is one of the two processes: `test_gathered.py RANK FOLDER`.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import torch.distributed as distributed

from vlrouting.metrics.gathered import gathered_on_first_process, on_first_process

WORLD = 2
RECORDS: list[list[tuple[int | str, str]]] = [
    [(7, "seven"), ("7", "text"), ("007", 'quotes " and \\ and\nlines\r\u2028\x85\x00')],
    [("n411121", "café 😀 一只熊 \ud800")],
]


class Unreadable(Exception):
    """An error that pickle writes and cannot read."""

    def __init__(self, first: str, second: str) -> None:
        super().__init__(first + second)


SHARES: list[list[list[Any]]] = []
"""Lists of any lengths, of the JSON values that a prediction's record may hold, for each process."""
_draw = random.Random(0)
for _ in range(40):
    SHARES.append([[_draw.choice([0, -1, 2**70, 0.5, None, "", "a\0", [1, {"b": "\u2028"}]])] * _draw.randrange(5)
                   for _ in range(WORLD)])  # fmt: skip


def expected(shares: list[list[Any]], rank: int) -> list[Any]:
    """All of them in the order of the processes, on the first; on another its own."""
    return [record for share in shares for record in share] if rank == 0 else shares[rank]


def fail(error: Exception) -> None:
    raise error


CASES: dict[str, Callable[[], Any]] = {
    "result": lambda: os.getpid(),
    "error": lambda: fail(ValueError("an empty text")),
    "unsendable error": lambda: fail(Unreadable("a", "b")),
    "unsendable result": lambda: lambda: 0,
}


def test_one_process_keeps_what_it_has() -> None:
    assert gathered_on_first_process(RECORDS[0]) == RECORDS[0]
    assert on_first_process(os.getpid) == os.getpid()
    with pytest.raises(ValueError, match="an empty text"):
        on_first_process(CASES["error"])


def be_one_of_two(rank: int, folder: Path) -> None:
    """Gather the records, and do every case in turn."""
    store = f"file://{folder / 'store'}"
    distributed.init_process_group(
        "gloo", init_method=store, rank=rank, world_size=WORLD, timeout=timedelta(seconds=120)
    )
    found: dict[str, Any] = {"process": os.getpid()}
    found["gathered"] = gathered_on_first_process(RECORDS[rank]) == ([*RECORDS[0], *RECORDS[1]], RECORDS[1])[rank]
    found["nothing"] = gathered_on_first_process([])
    found["any"] = [gathered_on_first_process(shares[rank]) == expected(shares, rank) for shares in SHARES]
    for name, work in CASES.items():
        try:
            found[name] = on_first_process(work)
        except Exception as error:
            found[name] = f"{type(error).__name__}: {error}"
    (folder / f"{rank}.json").write_text(json.dumps(found))
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("two")
    command = [sys.executable, __file__]
    processes = [
        subprocess.Popen([*command, str(rank), str(folder)], stderr=subprocess.PIPE, text=True) for rank in range(WORLD)
    ]
    try:
        errors = [process.communicate(timeout=240)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()
            process.wait()
    assert [process.returncode for process in processes] == [0, 0], "\n".join(errors)
    return [json.loads((folder / f"{rank}.json").read_text()) for rank in range(WORLD)]


def test_the_first_process_gets_the_records_of_all(both: list[dict[str, Any]]) -> None:
    assert [found["gathered"] for found in both] == [True, True]
    assert [found["nothing"] for found in both] == [[], []]
    assert [found["any"] for found in both] == [[True] * 40] * 2


def test_work_is_done_on_the_first_process_and_all_get_the_result(both: list[dict[str, Any]]) -> None:
    assert [found["result"] for found in both] == [both[0]["process"]] * 2


def test_an_error_is_raised_on_every_process(both: list[dict[str, Any]]) -> None:
    assert [found["error"] for found in both] == ["ValueError: an empty text"] * 2
    assert [found["unsendable error"] for found in both] == ["Unreadable: ab", "RuntimeError: Unreadable: ab"]
    assert all("lambda" in found["unsendable result"] for found in both)  # of pickle, in words that change


if __name__ == "__main__":
    be_one_of_two(int(sys.argv[1]), Path(sys.argv[2]))
