"""`kind: proto_hyper`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from vlrouting.config.kinds.low_rank import LowRankConfig
from vlrouting.config.limits import OneOf, Positive, Range
from vlrouting.config.problem import Problem

QUERIES = ("text", "image")
INFERENCES = ("task", "retrieval")


@dataclass(kw_only=True)
class ProtoHyperConfig(LowRankConfig):
    """PHA (arXiv 2310.11670): adapters parallel to the MLPs, which a hypernetwork generates from a trained prototype of
    the task. A retriever learns to find the prototype of an example.

    Default targets: the MLPs of the decoder; of a model without one, those of all blocks.
    """

    kind: str = field(default="proto_hyper", kw_only=False)
    prototype_width: Annotated[int, Range(least=1, most=100_000)] = 64
    """Width P of the prototypes, of the layers' embeddings and of the queries."""
    hidden: Annotated[int, Range(least=1, most=1_000_000)] = 128
    """Hidden width of the hypernetwork and of the retriever."""
    contrast: Annotated[float, Range(least=0)] = 0.1
    """Weight of the two contrastive losses, which train the retriever. 0: no retriever. With one task there is nothing
    to contrast, and so no retriever either."""
    temperature: Positive = 0.1
    """Of the contrastive losses: they are sharper, the smaller it is."""
    memory: Annotated[int, Range(least=1, most=1_000_000)] = 64
    """Queries that are remembered of every task. A batch has one task, so these stand for the other tasks' rows."""
    query: Annotated[str, OneOf(QUERIES)] = "text"
    """What an example is known by: `text`, the mean of the encoder's output over the text, as published; or `image`,
    the mean of its visual features, which is not in the paper."""
    inference: Annotated[str, OneOf(INFERENCES)] = "task"
    """Whose prototype an example gets outside of training: its own `task`'s, or by `retrieval` the nearest one."""

    @property
    def needs_tasks(self) -> bool:
        """See `BottleneckConfig`."""
        return True

    @property
    def image_keys(self) -> dict[str, str]:
        """See `BottleneckConfig`."""
        return super().image_keys | ({"query": "text"} if self.query == "image" and self.contrast else {})

    def problems(self) -> list[Problem]:
        """See `BottleneckConfig`."""
        found = super().problems()
        if self.per_task:
            message = "a hypernetwork generates an adapter for each task already"
            found.append(Problem(("per_task",), message, "set false", depends_on=("kind",)))
        if self.inference == "retrieval" and not self.contrast:
            keys = ("inference", "contrast")
            found.append(Problem(keys, "contrast: 0 trains no retriever", "set inference: task, or a higher contrast"))
        for key in ("temperature", "memory", "query") if not self.contrast else ():
            if getattr(self, key) != getattr(ProtoHyperConfig, key):
                found.append(Problem((key, "contrast"), "has no effect without a retriever, with contrast: 0"))
        if self.tower == "vision" and self.contrast:
            message = "the vision tower runs before there is anything that the retriever could read"
            found.append(Problem(("tower", "contrast"), message, "set contrast: 0, or tower: language"))
        return found
