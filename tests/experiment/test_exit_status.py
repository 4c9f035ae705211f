"""The statuses are a contract with shells, batch scripts and schedulers."""

from __future__ import annotations

import os

from vlrouting.experiment.exit_status import ExitStatus


def test_statuses_are_those_that_scripts_know() -> None:
    assert {status.name: int(status) for status in ExitStatus} == {
        "COMPLETE": os.EX_OK,
        "FAILED": 1,
        "USER_ERROR": 2,
        "PREEMPTED": os.EX_TEMPFAIL,
    }
