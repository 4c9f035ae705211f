"""Bottlenecks of several tasks over two processes: those of the other tasks have no gradient in a step."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.tiny_models import tiny
from tests.training.task_steps import TASKS, Step, one_process_of_two, trained
from vlrouting.bottleneck import BottleneckConfig, attach
from vlrouting.config import TrainConfig
from vlrouting.training.process_rank import ProcessRank
from vlrouting.training.strategy import make_strategy


@pytest.mark.slow
def test_two_processes_train_the_tasks_set_and_leave_the_others_as_they_are(tmp_path: Path) -> None:
    options = make_strategy(TrainConfig(), ProcessRank(world_size=2), Step(False))._ddp_kwargs  # type: ignore[union-attr]
    torch.multiprocessing.spawn(  # type: ignore[no-untyped-call]
        one_process_of_two, (str(tmp_path / "store"), str(tmp_path / "found"), options), nprocs=2
    )
    whole = list(trained(Step(False), slice(None)))
    for checkpointing in (False, True):
        states = torch.load(tmp_path / f"found-{checkpointing}")
        before = {name: p.detach() for name, p in Step(False).named_parameters()}
        for task, state, alone in zip(TASKS, states, whole, strict=True):
            for name, tensor in state.items():
                torch.testing.assert_close(tensor, alone[name], atol=1e-5, rtol=1e-4, msg=name)
                if "@" in name and f"@{task}." not in name and ".down." not in name:
                    assert torch.equal(tensor, before[name]), (task, name)
            before = state


def test_only_bottlenecks_of_several_tasks_need_a_search_for_what_has_no_gradient() -> None:
    two = ProcessRank(world_size=2)
    config = BottleneckConfig("lora", rank=4, per_task=True)
    for tasks, several in ((("vqa",), False), (("vqa", "gqa"), True)):
        model = attach(tiny("bert"), config, tasks=tasks).model
        for accumulate in (1, 2):
            options = make_strategy(TrainConfig(accumulate=accumulate), two, model)._ddp_kwargs  # type: ignore[union-attr]
            assert options["find_unused_parameters"] == several
            assert options["static_graph"] == (accumulate == 1 and not several)
