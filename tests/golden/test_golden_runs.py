"""Runs against stored values: what is wrong in every run alike shows here, and nowhere in a comparison of two runs.

A change that is meant to change numbers comes with new values: `python -m tests.golden.rewrite`.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.golden.experiments import LORA, TASKS, TOLERANCE, trace
from tests.golden.rewrite import stored


@pytest.mark.parametrize("task", TASKS)
def test_losses_weights_and_scores_are_those_stored(golden_files: dict[str, Path], task: str, tmp_path: Path) -> None:
    found, expected = trace(golden_files[task], tmp_path, *LORA), stored("tasks")[task]
    assert found.losses == pytest.approx(expected["losses"], rel=TOLERANCE)
    assert found.norms == pytest.approx(expected["norms"], rel=TOLERANCE)
    assert found.predictions == expected["predictions"]
    assert found.metrics == pytest.approx(expected["metrics"], rel=1e-6)
