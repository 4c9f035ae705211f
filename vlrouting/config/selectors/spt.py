"""`select.method: spt`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from vlrouting.config.bottleneck import TOWERS, BottleneckConfig
from vlrouting.config.limits import Count, LocalPath, Positive, Range
from vlrouting.config.problem import Problem
from vlrouting.config.selection import SelectConfig

if TYPE_CHECKING:
    from vlrouting.config.training import ModelConfig

Parameters = Annotated[int, Range(least=1, most=1_000_000_000_000)]


@dataclass
class SptConfig(SelectConfig):
    """SPT (arXiv 2303.08566): the most sensitive weights train within a budget of parameters.

    A matrix that has many of them gets the bottleneck of its tower (`lora`, `adapter`, …), a vector that has many of
    them trains as a whole, and of the rest the tower's bottleneck of `kind: sparse` trains the single weights.
    """

    method: str = "spt"
    batches: Count = 16
    """Micro-batches over which the squared gradients of every weight are summed."""
    budget: Parameters = 400_000
    """Trainable parameters of both towers that the choice comes closest to; projector and head are not counted."""
    vision_budget: Parameters | None = None
    """Those of the budget that the vision tower gets. Default: the towers compete, and what is more sensitive trains;
    the gradients of the vision tower come through a projector that has not been trained yet."""
    alpha: Positive = 10.0
    """A matrix gets the bottleneck where at least 1 / alpha as many of its weights are chosen as the bottleneck has
    parameters."""
    beta: Positive = 5.0
    """A vector trains as a whole where at least 1 / beta of its weights are chosen."""
    step: Parameters | None = None
    """The number of chosen weights is tried in 79 such steps. Default: a twentieth of the budget; the authors step by
    20,000 for every budget up to 1,000,000."""
    sensitivities: LocalPath | None = None
    """`selection/sensitivities.safetensors` of another run of the same models, in place of a pass over batches."""

    @property
    def trainable(self) -> int:
        """See `SelectConfig`."""
        return self.budget

    def memory(self, weights: int) -> int:
        """A sum in float32 for each weight; gradients are squared and freed one after the other."""
        return 0 if self.sensitivities is not None else 4 * weights

    def problems(self) -> list[Problem]:
        """See `SelectConfig`."""
        if self.vision_budget is None or self.vision_budget < self.budget:
            return []
        return [Problem(("vision_budget", "budget"), "leaves the language model nothing", "set a larger budget")]

    def problems_with(self, bottlenecks: Mapping[str, BottleneckConfig], model: ModelConfig) -> list[Problem]:
        """See `SelectConfig`."""
        found = [
            Problem((f"{key}.per_task",), "spt counts one bottleneck for all tasks", "set false")
            for key, bottleneck in bottlenecks.items()
            if bottleneck.per_task
        ]
        if not any(each.attaches for each in bottlenecks.values()):
            message = "spt has no bottleneck to place"
            found.append(Problem(("select.method",), message, "add one of kind lora, adapter or sparse"))
        for tower in TOWERS:
            in_tower = {key: each for key, each in bottlenecks.items() if each.tower == tower and each.attaches}
            for sparse in (True, False):
                keys = [key for key, each in in_tower.items() if each.of_single_weights == sparse]
                what = "of kind sparse" if sparse else "for whole matrices"
                if len(keys) > 1:
                    message = f"spt places one bottleneck {what} in the {tower} tower, and {keys[0]} is one already"
                    found.append(Problem((f"{keys[1]}.kind",), message, "leave one of them out"))
        if self.vision_budget is not None and {each.tower for each in bottlenecks.values()} != set(TOWERS):
            message = "shares the budget between two towers, and there are bottlenecks in one"
            found.append(Problem(("select.vision_budget",), message, "leave it out"))
        if model.unfreeze:
            message = "trains parameters beside those that spt chooses, which are then more than its budget"
            found.append(Problem(("model.unfreeze",), message, "set []"))
        if not model.visual_prefix and model.visual_input != "none":
            message = "spt measures the model before anything routes, and without a prefix no image reaches it then"
            found.append(Problem(("model.visual_prefix",), message, "set true"))
        return found
