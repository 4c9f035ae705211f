"""Curves out of event files, also of runs that were resumed or are damaged."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.documents.made_up_studies import write_events
from tests.made_up_runs import make_run
from vlrouting.experiment import RunDirectory
from vlrouting.report.comparison import Variant
from vlrouting.report.learning_curves import LOSS, learning_curves, scalars
from vlrouting.report.rows import Row


def variant(*runs: RunDirectory) -> Variant:
    rows = tuple(Row(run.path.name, "complete", folder=run.path, seed=seed) for seed, run in enumerate(runs))
    return Variant("x", "v", "v", rows)


def test_the_steps_that_all_seeds_have(tmp_path: Path) -> None:
    first, second = (make_run(tmp_path, f"seed={seed}") for seed in (0, 1))
    write_events(first, {LOSS: {1: 4.0, 2: 3.0, 3: 2.0, 5: 1.0}})
    write_events(second, {LOSS: {2: 1.0, 3: float("nan"), 4: 0.5, 1: 2.0}})
    (curve,) = learning_curves([variant(first, second)], [LOSS])[LOSS]
    assert curve.steps.tolist() == [1, 2]  # a value that is not finite is left out
    assert curve.values.tolist() == [[4, 3], [2, 1]]


def test_what_is_logged_again_counts_once(tmp_path: Path) -> None:
    run = make_run(tmp_path, "a")
    write_events(run, {LOSS: {1: 4.0, 2: 3.0}}, number=1)
    write_events(run, {LOSS: {2: 2.5, 3: 2.0}}, number=2)
    assert scalars(run, [LOSS]) == {LOSS: {1: 4, 2: 2.5, 3: 2}}


def test_a_truncated_file_gives_what_is_whole(tmp_path: Path) -> None:
    run = make_run(tmp_path, "a")
    file = write_events(run, {LOSS: {1: 4.0, 2: 3.0, 3: 2.0}})
    file.write_bytes(file.read_bytes()[:-5])
    assert scalars(run, [LOSS])[LOSS] == {1: 4, 2: 3}


@pytest.mark.parametrize("steps", [{}, {5: 1.0}])
def test_fewer_than_two_steps_are_no_curve(tmp_path: Path, steps: dict[int, float]) -> None:
    run = make_run(tmp_path, "a")
    write_events(run, {LOSS: steps})
    assert learning_curves([variant(run)], [LOSS]) == {LOSS: []}
    assert learning_curves([variant(make_run(tmp_path, "b"))], [LOSS]) == {LOSS: []}
