"""A small classifier over a tiny RoBERTa whose bottlenecks a selector may try, without an experiment around it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.tiny_models import WIDTH, images, tiny
from vlrouting.bottleneck import BottleneckConfig, Routed, attach
from vlrouting.selection import SelectionProblem

LORA = BottleneckConfig("lora", rank=2, routing="mul")


class Classifier(nn.Module):
    """Language model and head; a batch is a number, which decides on its ids, images and answers."""

    def __init__(self, family: str = "roberta") -> None:
        super().__init__()
        self.language = tiny(family)
        generator = torch.Generator().manual_seed(3)
        with torch.no_grad():
            for parameter in self.language.parameters():  # the weights of transformers hardly change the output
                parameter.add_(0.2 * torch.randn(parameter.shape, generator=generator))
        self.head = nn.Linear(WIDTH, 4)
        with torch.no_grad():
            self.head.weight.copy_(torch.randn(self.head.weight.shape, generator=generator))
        self.routed: Routed | None = None
        self.seen: list[int] = []

    def loss(self, number: int) -> Tensor:
        """Cross-entropy of 16 examples."""
        self.seen.append(number)
        generator = torch.Generator().manual_seed(number)
        ids = torch.randint(3, 50, (16, 6), generator=generator)
        answers = torch.randint(4, (16,), generator=generator)
        assert self.routed is not None
        with self.routed.look_at(images(16, seed=number)):
            hidden = self.language(input_ids=ids)[0][:, 0]
        return functional.cross_entropy(self.head(hidden), answers)


def problem_of(
    model: Classifier,
    configs: Mapping[str, BottleneckConfig] | None = None,
    *,
    unfreeze: tuple[str, ...] = (),
    folder: Path | None = None,
) -> SelectionProblem:
    """What `run_selector` would give to a selector."""
    bottlenecks = configs or {"bottleneck": LORA}

    @contextmanager
    def attached() -> Iterator[dict[str, Routed]]:
        torch.manual_seed(7)
        model.routed = attach(model.language, bottlenecks, unfreeze=unfreeze)
        try:
            yield {"language": model.routed}
        finally:
            model.routed.detach()

    return SelectionProblem(model, bottlenecks, range(4), model.loss, attached, folder)
