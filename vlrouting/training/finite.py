"""Ends a run whose numbers are no longer finite, at the step where that happens."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from lightning import Callback, Trainer
from torch import Tensor

from vlrouting.bottleneck.artifact import not_finite, trained_tensors
from vlrouting.tasks.scored import TaskModule
from vlrouting.training.user_errors import PointFailure

SKIPPED_STEPS = 24
"""So many steps in a row the loss scaling of float16 may skip: it halves its factor, 2^16 at the start, each time."""


class Diverged(PointFailure):
    """The loss, the gradient, a trained tensor or a score is NaN or infinite; the text has the step and the remedy."""


@dataclass
class _Step:
    """The numbers of an optimizer step, perhaps still on their way from the GPU."""

    number: int
    learning_rate: float
    numbers: Tensor
    """(3,) float32 on the host: loss, norm of the gradient, norm of the trained tensors."""
    copied: Any = None
    """The CUDA event after which `numbers` are there; None where they are there already."""


class FiniteNumbers(Callback):
    """Checks loss, gradient and trained tensors after every optimizer step, and the scores of validation and test.

    It costs two norms over the trainable parameters, and with several processes the sum of one number. On a GPU the
    numbers travel to the host while the next step is computed and are read after it, so the GPU never waits; nothing is
    validated or saved before they are read. So the run ends one step later there, and names the step all the same.
    """

    def __init__(self) -> None:
        self._loss: Tensor | None = None
        self._gradient: Tensor | None = None
        self._learning_rate = 0.0
        self._pending: _Step | None = None
        self._skipped = 0

    def on_before_backward(self, trainer: Trainer, task: TaskModule, loss: Tensor) -> None:
        """Add up the losses of the step's micro-batches."""
        self._loss = loss.detach().float() if self._loss is None else self._loss + loss.detach()

    def on_before_optimizer_step(self, trainer: Trainer, task: TaskModule, optimizer: torch.optim.Optimizer) -> None:
        """Measure the gradient, before it is clipped."""
        parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        self._gradient = _norm([parameter.grad for parameter in parameters if parameter.grad is not None])
        self._learning_rate = optimizer.param_groups[0]["lr"]

    def on_train_batch_end(self, trainer: Trainer, task: TaskModule, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Check the step before, or on a CPU this one."""
        if self._loss is None or self._gradient is None:  # in the middle of a step
            return
        loss, gradient, self._loss, self._gradient = self._loss, self._gradient, None, None
        if trainer.world_size > 1:
            torch.distributed.all_reduce(loss)  # so that all processes end at the same step
        weights = _norm([parameter.detach() for parameter in task.parameters() if parameter.requires_grad])
        numbers = torch.stack([loss.to(gradient), gradient, weights.to(gradient)])
        self._check(trainer, task)
        self._pending = _Step(trainer.global_step, self._learning_rate, *_to_host(numbers))
        if self._pending.copied is None:
            self._check(trainer, task)

    def on_validation_start(self, trainer: Trainer, task: TaskModule) -> None:
        """Nothing is validated after a step that failed."""
        self._check(trainer, task)

    def on_save_checkpoint(self, trainer: Trainer, task: TaskModule, checkpoint: dict[str, Any]) -> None:
        """Nothing is saved after a step that failed."""
        self._check(trainer, task)

    def on_validation_end(self, trainer: Trainer, task: TaskModule) -> None:
        """Check the validation's scores."""
        _check_scores(task, "validation/", trainer.global_step)

    def on_test_end(self, trainer: Trainer, task: TaskModule) -> None:
        """Check the test's scores."""
        _check_scores(task, f"{task.final_split}/", task.total_steps)

    def _check(self, trainer: Trainer, task: TaskModule) -> None:
        step, self._pending = self._pending, None
        if step is None:
            return
        if step.copied is not None:
            step.copied.synchronize()
        loss, gradient, weights = step.numbers.tolist()
        if not math.isfinite(loss):
            raise Diverged(_sentence(task, step, f"the loss is {loss}"))
        self._skipped = 0 if math.isfinite(gradient) else self._skipped + 1
        scaled = getattr(trainer.precision_plugin, "scaler", None) is not None
        if self._skipped > (SKIPPED_STEPS if scaled else 0):
            raise Diverged(_sentence(task, step, f"the norm of the gradient is {gradient}"))
        if not math.isfinite(weights):
            which = not_finite(trained_tensors(task.model)) or f"the norm of the trained tensors is {weights}"
            raise Diverged(_sentence(task, step, which))


def _norm(tensors: list[Tensor]) -> Tensor:
    """The 2-norm over all of them, on the device."""
    return torch.nn.utils.get_total_norm(tensors) if tensors else torch.zeros(())


def _to_host(numbers: Tensor) -> tuple[Tensor, Any]:
    """The numbers on the host, and the event after which they are there."""
    if numbers.device.type != "cuda":
        return numbers.cpu(), None
    host = torch.empty(numbers.shape, pin_memory=True)
    host.copy_(numbers, non_blocking=True)
    event = torch.cuda.Event()  # type: ignore[no-untyped-call]
    event.record()
    return host, event


def _sentence(task: TaskModule, step: _Step, what: str) -> str:
    train = task.config
    start = f"step {step.number}, learning rate {step.learning_rate:g}: {what}"
    if step.number == 1 and what.startswith("the loss"):
        return f"{start} before anything was trained; check the data, the backbones and train.precision"
    clip = " or set train.clip_norm, such as 1" if train.clip_norm is None else ""
    half = " or set train.precision to bf16-mixed or 32-true" if train.precision == "16-mixed" else ""
    return f"{start}; lower train.lr ({train.lr:g}){clip}{half}, and train the point again"


def _check_scores(task: TaskModule, prefix: str, step: int) -> None:
    for name, value in task.scores.items():
        if name.startswith(prefix) and not math.isfinite(value):
            raise Diverged(
                f"step {step}: {name} is {value}; check the predictions, or lower train.lr ({task.config.lr:g})"
            )
