"""Numbers that are not finite, and threads, on a GPU: the host runs ahead, and autograd has threads of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.faults.test_model_threads import CONFIGS, THREADS, in_threads, trained
from tests.tiny_experiment import write_experiment
from tests.tiny_models import images, inputs
from vlrouting.experiment import RunDirectory, load
from vlrouting.launch.in_process import train
from vlrouting.training.checkpoints import read_checkpoint

pytestmark = [pytest.mark.gpu, pytest.mark.slow]


@pytest.mark.parametrize("precision", ["32-true", "bf16-mixed", "16-mixed"])
def test_the_step_is_named_though_it_is_read_one_step_later(precision: str, tmp_path: Path) -> None:
    settings = {"accelerator": "gpu", "lr": 1e6, "schedule": "constant", "weight_decay": 0.01, "precision": precision}
    experiment = load(str(write_experiment(tmp_path, train={**settings, "checkpoint_every_steps": 1})), [])
    reason = train(experiment, experiment.points, tmp_path / "runs")["default"]
    step = int(reason.removeprefix("step ").split(",")[0])
    assert "learning rate 1e+06" in reason
    run = RunDirectory(tmp_path / "runs" / experiment.name / "default")
    if run.last.is_file():
        checkpoint = read_checkpoint(run.last)
        assert checkpoint["global_step"] < step
        assert all(bool(torch.isfinite(tensor).all()) for tensor in checkpoint["state_dict"].values())


@pytest.mark.parametrize("reentrant", [False, True])
def test_gradients_of_four_threads_with_recomputation_in_autograds_thread(reentrant: bool) -> None:
    routed = trained(CONFIGS["lora"])
    routed.model.to("cuda").gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": reentrant})
    routed.model.train()
    for module in routed.model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0

    def gradient(seed: int) -> torch.Tensor:
        visual = images(seed=seed).cuda().requires_grad_()
        with routed.look_at(visual):
            ids = {name: tensor.cuda() for name, tensor in inputs("bert", seed=seed).items()}
            loss = routed.model(**ids)[0].pow(3).mean()
        loss.backward()
        assert visual.grad is not None
        return visual.grad

    expected = [gradient(seed) for seed in range(THREADS)]
    for seed, found in enumerate(in_threads(gradient)):
        torch.testing.assert_close(found, expected[seed], atol=1e-5, rtol=1e-4)
