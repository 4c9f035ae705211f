"""What happened to a point, and whether to start it once more."""

from __future__ import annotations

from pathlib import Path

import pytest

from vlrouting.experiment.attempts import Attempt, Attempts, why_not_again


def attempt(outcome: str, first: int = 0, last: int | None = None, reason: str = "") -> Attempt:
    return Attempt("", "n1", None, first, outcome, last, reason)


def test_starts_and_ends_are_read_back(tmp_path: Path) -> None:
    attempts = Attempts(tmp_path / "attempts.jsonl")
    assert attempts.read() == []
    attempts.begin("n1", "7_0", "a")
    attempts.resume(0)
    attempts.end("preempted", 12, "stopped by SIGUSR2")
    attempts.begin("n2", "7_0", "b")
    attempts.resume(12)
    first, second = attempts.read()
    assert (first.host, first.job, first.first_step, first.outcome, first.last_step) == (
        "n1",
        "7_0",
        0,
        "preempted",
        12,
    )
    assert (second.host, second.first_step, second.outcome, second.last_step) == ("n2", 12, "killed", None)


def test_a_line_that_a_kill_cut_off_is_passed_over(tmp_path: Path) -> None:
    attempts = Attempts(tmp_path / "attempts.jsonl")
    attempts.begin("n1", None)
    with attempts.path.open("a") as file:
        file.write('{"event": "end", "outc')
    attempts.begin("n1", None)
    attempts.end("complete")
    assert [found.outcome for found in attempts.read()] == ["killed", "complete"]


@pytest.mark.parametrize("first_begins", ["before", "after", "never"])
def test_another_process_that_fails_is_the_reason(tmp_path: Path, first_begins: str) -> None:
    attempts = Attempts(tmp_path / "attempts.jsonl")
    attempts.begin("n1", "7_0", "earlier")
    attempts.end("preempted", 5)
    if first_begins == "before":
        attempts.begin("n1", "7_0", "now")
    attempts.fail("n2", "7_0", "now", None, "rank 1: no data here")
    if first_begins == "after":
        attempts.begin("n1", "7_0", "now")
    if first_begins != "never":
        attempts.end("preempted", 5, "stopped by SIGTERM")  # the scheduler ends the first one then
    earlier, now = attempts.read()
    assert earlier.outcome == "preempted"
    assert (now.outcome, now.reason) == ("failed", "rank 1: no data here")


@pytest.mark.parametrize(
    ("history", "why"),
    [
        ([attempt("preempted", 0, 5)] * 9, None),
        ([attempt("failed", 0, 5, "x")], None),
        ([attempt("failed", 0, 5, "x"), attempt("failed", 4, 9, "y")], None),
        ([attempt("failed", 0, 5, "x"), attempt("failed", 4, 5, "y")], "failed twice at step 5: y"),
        ([attempt("failed", 0, 5, "x"), attempt("preempted", 4, 5), attempt("failed", 4, 5, "y")], "failed twice at"),
        ([attempt("failed", 0, None, "x"), attempt("failed", 0, None, "y")], "failed twice outside the training: y"),
        ([attempt("killed", 4)] * 2, None),
        ([attempt("killed", 4)] * 3, "killed 3 times in a row without getting from step 4"),
        ([attempt("killed", 2), attempt("killed", 4), attempt("killed", 6)], None),
        ([attempt("killed", step) for step in range(4)], "failed 4 times, more than the 3 retries allowed"),
    ],
)
def test_when_to_give_up(history: list[Attempt], why: str | None) -> None:
    told = why_not_again(history, 3)
    assert told is None if why is None else told is not None and why in told
