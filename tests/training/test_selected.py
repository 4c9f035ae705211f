"""A selector chooses once per run: other ranks and resumed attempts take its choice."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from vlrouting.bottleneck import Target
from vlrouting.config import SELECTORS, SelectConfig
from vlrouting.experiment import Experiment, RunDirectory, UserError
from vlrouting.launch.in_process import train
from vlrouting.selection import Selection, SelectionProblem, register_selector
from vlrouting.tasks.scored import TaskModule
from vlrouting.training.selected import SelectionFile

CHOICE = Selection({"bottleneck": [Target("a.0", ("a.0.query",), (range(3, 6),)), "a.1"]}, ("*.bias",))


def test_the_first_process_chooses_and_the_others_wait_for_it(tmp_path: Path) -> None:
    file, chosen = tmp_path / "selection.json", []
    waiting = threading.Thread(target=lambda: chosen.append(SelectionFile(file, is_first=False).choice(pytest.fail)))
    waiting.start()
    chosen.append(SelectionFile(file, is_first=True).choice(lambda: CHOICE))
    waiting.join(timeout=10)
    chosen.append(SelectionFile(file, is_first=True).choice(pytest.fail))  # a resume
    assert [(each.places, tuple(each.unfreeze)) for each in chosen] == [(CHOICE.places, CHOICE.unfreeze)] * 3


@pytest.mark.parametrize(
    "content", ["", "[]", "7", '{"places": {}}', '{"places": {"a": [{}]}, "unfreeze": []}', "[" * 10**5]
)
def test_a_damaged_choice_names_its_file_and_the_remedy(content: str, tmp_path: Path) -> None:
    file = tmp_path / "selection.json"
    file.write_text(content)
    with pytest.raises(UserError, match=r"selection\.json is damaged.*rm -r"):
        SelectionFile(file, is_first=True).choice(lambda: CHOICE)


@dataclass
class AnotherEachTimeConfig(SelectConfig):
    method: str = "another_each_time"


def test_a_resumed_run_trains_what_was_chosen_at_its_start(
    experiment: Callable[..., Experiment], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def another_each_time(problem: SelectionProblem, config: AnotherEachTimeConfig) -> Selection:
        names = [name for name, _ in problem.model.language.named_modules() if name.endswith("query")]  # type: ignore[union-attr, operator]
        calls.append(1)
        return Selection({"bottleneck": [names[len(calls) - 1]]})

    register_selector("another_each_time", AnotherEachTimeConfig)(another_each_time)
    step = TaskModule.training_step

    def failing(self: TaskModule, batch: object, index: int) -> torch.Tensor:
        if index == 5:
            raise RuntimeError("the machine broke")
        return step(self, batch, index)  # type: ignore[arg-type]

    chosen = experiment(select={"method": "another_each_time"})
    try:
        with monkeypatch.context() as patch:
            patch.setattr(TaskModule, "training_step", failing)
            assert "the machine broke" in train(chosen, chosen.points, tmp_path / "runs")["default"]
        run = RunDirectory(tmp_path / "runs" / chosen.name / "default")
        assert run.last.is_file()
        assert train(chosen, chosen.points, tmp_path / "runs") == {}
    finally:
        for registered in (SELECTORS._facts, SELECTORS._implementations):
            registered.pop("another_each_time")  # type: ignore[attr-defined]
    assert run.is_complete() and len(calls) == 1
