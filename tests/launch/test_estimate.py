"""The time that is left over all points of a sweep."""

from __future__ import annotations

from pathlib import Path

import pytest

from vlrouting.experiment import RunDirectory
from vlrouting.experiment.progress import Progress, write_progress
from vlrouting.launch.display import Display
from vlrouting.launch.estimate import SweepEstimate, spelled_seconds


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def training(step: int, total: int = 100, rate: float = 2.0) -> Progress:
    return Progress("training", step, total, steps_per_second=rate)


def test_from_the_first_steps_of_the_first_point() -> None:
    clock = Clock()
    estimate = SweepEstimate(3, clock=clock)
    estimate.started("a")
    assert estimate.seconds() is None  # nothing was measured yet
    clock.now = 10.0
    estimate.progressed("a", Progress("preparing"))
    assert estimate.seconds() is None
    estimate.progressed("a", training(20))  # 80 steps are left: 40 s; a point takes 50 s
    assert estimate.basis == "the first training steps of a"
    assert estimate.seconds() == pytest.approx(40 + 2 * 50)
    clock.now = 20.0  # nothing was read since
    assert estimate.seconds() == pytest.approx(30 + 2 * 50)


def test_from_complete_points_and_several_at_once() -> None:
    clock = Clock()
    estimate = SweepEstimate(5, at_once=2, clock=clock)
    for name in ("a", "b"):
        estimate.started(name)
    clock.now = 60.0
    estimate.ended("a", complete=True)
    estimate.ended("b", complete=False)  # it failed at some step: no measure of a point
    assert estimate.basis == "1 complete point"
    assert estimate.seconds() == pytest.approx(3 * 60 / 2)
    for name in ("c", "d"):
        estimate.started(name)
    clock.now = 80.0
    assert estimate.seconds() == pytest.approx((40 + 40 + 60) / 2)
    estimate.started("e")
    estimate.ended("c", complete=True)
    estimate.ended("d", complete=True)
    assert estimate.basis == "3 complete points"
    assert estimate.seconds() == pytest.approx((60 + 20 + 20) / 3)


@pytest.mark.parametrize(("seconds", "text"), [(40, "40 s"), (720, "12 min"), (11_100, "3 h 05 min")])
def test_spelled(seconds: float, text: str) -> None:
    assert spelled_seconds(seconds) == text


def test_a_log_file_gets_a_line_with_its_basis(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = RunDirectory(tmp_path)
    display = Display(3)
    display.started("a", run)
    write_progress(run.progress, training(20))
    display.update("a", run)
    assert "all points: 0/3 done, about" in (told := capsys.readouterr().err)
    assert "from the first training steps of a" in told
