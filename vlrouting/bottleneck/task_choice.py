"""Which task's adapters each row of a forward pass gets, and the queries from which the retriever learns to tell."""

from __future__ import annotations

import threading
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from vlrouting.bottleneck.base import Site
from vlrouting.bottleneck.context import TEXT, ForwardContext
from vlrouting.bottleneck.families import generates_with
from vlrouting.bottleneck.hypernetwork import HyperNetwork
from vlrouting.bottleneck.retriever import Retriever
from vlrouting.config.kinds.proto_hyper import ProtoHyperConfig


class _Queries(threading.local):
    """Those of this thread's last forward pass (B, P) and their task, until the loss is asked for; a copy is empty."""

    found: tuple[Tensor, int] | None = None

    def take(self) -> tuple[Tensor, int] | None:
        """They are forgotten."""
        found, self.found = self.found, None
        return found

    def __reduce__(self) -> tuple[type[_Queries], tuple[()]]:
        return type(self), ()


class TaskChoice(nn.Module):
    """What the bottlenecks of one configuration of `kind: proto_hyper` ask for their task.

    Attributes:
        tasks: their names, in the order of the prototypes.
        hypernetwork: has the prototypes.
        retriever: None with one task or with `contrast: 0`.
    """

    def __init__(self, site: Site, config: ProtoHyperConfig, hypernetwork: HyperNetwork) -> None:
        super().__init__()
        self.config, self.slot, self.name, self.tasks = config, site.slot, site.name, site.tasks
        self.hypernetwork = hypernetwork
        self.retriever: Retriever | None = None
        self._queries = _Queries()
        if len(site.tasks) > 1 and config.contrast:
            of_text = config.query == "text"
            width: int = site.model.config.hidden_size if of_text else site.visual_width  # type: ignore
            widths = (width, config.prototype_width, config.hidden)
            self.retriever = Retriever(*widths, tasks=len(site.tasks), memory=config.memory)

    def observe(self, model: nn.Module) -> list[RemovableHandle]:
        """Register the hook that reads the queries of every forward pass."""
        if self.retriever is None:
            return []
        if self.config.query == "image":
            return [model.register_forward_pre_hook(self._on_pass)]
        return [model.get_encoder().register_forward_hook(self._on_encoded)]  # type: ignore[operator]

    def prototypes_of(self, rows: int) -> tuple[Tensor, Tensor | None]:
        """Prototypes (N, P) of the N tasks that the rows have, and (rows,) which of them each has; None where all have
        the batch's own.

        Raises:
            RuntimeError: the model runs outside of `look_at`, or what the retriever reads is not there.
            ValueError: the number of rows is no multiple of the number of queries.
        """
        context, prototypes = self.slot.current, self.hypernetwork.prototypes
        task = self._task(context)
        if context is None or not self._retrieves:
            return prototypes[task : task + 1], None
        nearest = self._retrieved(context)
        if rows % len(nearest):
            raise ValueError(
                f"{rows} rows of text and {len(nearest)} queries; give the encoder every row, or group of beams"
            )
        tasks, order = torch.unique(nearest.repeat_interleave(rows // len(nearest)), return_inverse=True)
        return prototypes[tasks], order

    def loss(self) -> Tensor | None:
        """Both contrastive losses of the pass that has just run, times `contrast`; None in a second call."""
        found = self._queries.take()
        if found is None or self.retriever is None:
            return None
        return self.config.contrast * self.retriever.loss(*found, self.hypernetwork.prototypes, self.config.temperature)

    @property
    def encoded(self) -> int:
        """How often a query was read in this `look_at` to retrieve by: what was generated before a new one is stale."""
        context = self.slot.current
        number: int = 0 if context is None else context.kept.get(self._kept, (0,))[0]
        return number

    @property
    def _retrieves(self) -> bool:
        return self.retriever is not None and self.config.inference == "retrieval" and not self.training

    @property
    def _kept(self) -> str:
        return f"{self.name} retrieval"

    def _task(self, context: ForwardContext | None) -> int:
        if context is None or context.task not in self.tasks:
            raise RuntimeError(
                "kind: proto_hyper has to know the task; run the model inside "
                f"`with routed.look_at(visual, task='{self.tasks[0]}'):`, in the same thread"
            )
        return self.tasks.index(context.task)

    def _retrieved(self, context: ForwardContext) -> Tensor:
        """(B,) positions of the nearest prototypes."""
        if self.config.query == "image":
            return self._nearest(self._query_of_image(context))
        if self._kept not in context.kept:
            raise RuntimeError(
                "inference: retrieval reads what the encoder gives, and it has not run inside of this `look_at`; run "
                "the whole model there, or set inference: task"
            )
        retrieved: Tensor = context.kept[self._kept][1]
        return retrieved

    def _nearest(self, queries: Tensor) -> Tensor:
        assert self.retriever is not None
        return self.retriever.nearest(queries, self.hypernetwork.prototypes)

    def _query_of_image(self, context: ForwardContext) -> Tensor:
        if context.visual is None:
            raise RuntimeError("query: image needs an image; give look_at one, or set query: text")
        assert self.retriever is not None
        queries: Tensor = self.retriever(context.visual, context.mask)
        return queries

    # Methods rather than closures: a deep copy of the model then calls its own retriever.
    def _on_encoded(self, _encoder: nn.Module, _inputs: Any, output: Any) -> None:
        """Read the query of the text in what the encoder gives, (B, T, D)."""
        context = self.slot.current
        if context is None or not (torch.is_grad_enabled() or self._retrieves):
            return
        states: Tensor = output[0]
        modality = context.modality_for(*states.shape[:2])
        assert self.retriever is not None
        queries = self.retriever(states, None if modality is None else modality == TEXT)
        if self._retrieves:
            context.kept[self._kept] = self.encoded + 1, self._nearest(queries)
        if torch.is_grad_enabled():
            self._queries.found = queries, self._task(context)

    def _on_pass(self, _model: nn.Module, _inputs: Any) -> None:
        """Read the query of the image, for the loss."""
        context = self.slot.current
        if context is not None and torch.is_grad_enabled():
            self._queries.found = self._query_of_image(context), self._task(context)


def require_decoder(site: Site) -> None:
    """
    Raises:
        ValueError: the target acts before there is an encoder's output to read.
    """
    pair = getattr(getattr(site.model, "config", None), "is_encoder_decoder", False)
    if not (pair and generates_with(site.model, site.target.name)):
        raise ValueError(
            f"{site.key}: with query: text the retriever reads what an encoder gives, and this target is in no decoder "
            "behind one; set query: image, or contrast: 0, or choose targets in the decoder of an encoder-decoder"
        )
