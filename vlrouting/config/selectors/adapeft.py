"""`select.method: adapeft`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated

from vlrouting.config.bottleneck import EVERYTHING, BottleneckConfig
from vlrouting.config.limits import Count, LocalPath, OneOf, Positive, Range
from vlrouting.config.problem import Problem
from vlrouting.config.selection import SelectConfig

if TYPE_CHECKING:
    from vlrouting.config.training import ModelConfig

SPLITS = ("block", "target", "bottleneck")
DIRECTIONS = ("sign", "gradient")


@dataclass
class AdapeftConfig(SelectConfig):
    """AdaPEFT (arXiv 2505.12579), in our reading of it: a budget of trainable parameters goes to the groups whose loss
    falls most per parameter, by parabolas through losses along a direction of each group."""

    method: str = "adapeft"
    budget: Annotated[int, Range(least=1)] | None = None
    """Most trainable parameters that the chosen groups may have together. The head, the projector, `model.unfreeze` and
    what bottlenecks of several groups share train besides, and are not counted."""
    choice: LocalPath | None = None
    """In place of a budget: `selection/adapeft.json` of another run, perhaps of a smaller model. The groups that are
    chosen there are chosen here, blocks by their relative depth, without probes."""
    split: Annotated[str, OneOf(SPLITS)] = "block"
    """What of the bottlenecks is one group: those of a configuration in the same `block`, one `target`, or the whole
    `bottleneck` configuration."""
    groups: list[str] = field(default_factory=list)
    """Further groups, one for each entry: `layer_norms`, `biases`, `all`, or a pattern of parameter names. A parameter
    belongs to the first entry that names it. Patterns are for the language model; in a vision tower with bottlenecks
    the three words make groups of their own."""
    direction: Annotated[str, OneOf(DIRECTIONS)] = "sign"
    """Direction of a group: the `sign` of its gradient (the first step of Adam), or the `gradient` itself."""
    step_size: Positive = 3e-3
    """Step of a probe: the root mean square of the change of the parameters that have a gradient."""
    probes: Count = 4
    """Probes whose gains are added up. Each one uses the next batch; with several datasets, the next dataset."""
    every: Count = 4
    """Training steps between two probes, of all groups together."""
    warm_up: Annotated[int, Range(least=0, most=1_000_000)] = 0
    """Training steps before the first probe. Without any, the `down` of LoRA has no gradient in the first probe."""
    lr: Positive = 1e-3
    """Learning rate of these steps (Adam)."""

    @property
    def trainable(self) -> int | None:
        """See `SelectConfig`."""
        return self.budget

    def memory(self, weights: int) -> int:
        """Values to go back to, gradients and Adam's two moments, in float32, where every weight is in a group."""
        return 16 * weights if EVERYTHING in self.groups and self.choice is None else 0

    def problems_with(self, bottlenecks: Mapping[str, BottleneckConfig], model: ModelConfig) -> list[Problem]:
        """See `SelectConfig`."""
        twice = [entry for entry in self.groups if entry in model.unfreeze or EVERYTHING in model.unfreeze]
        if not twice:
            return []
        message = f"'{twice[0]}' cannot be chosen, because it trains already"
        return [Problem(("select.groups", "model.unfreeze"), message, "set model.unfreeze: []")]

    def problems(self) -> list[Problem]:
        """See `SelectConfig`."""
        found = []
        if (self.budget is None) == (self.choice is None):
            message = "the number of parameters comes either from a budget or from the choice of another run"
            found.append(Problem(("budget", "choice"), message, "give one of the two"))
        if len(set(self.groups)) < len(self.groups):
            found.append(Problem(("groups",), "an entry is there twice", "leave one of them out"))
        return found
