"""PHA (arXiv 2310.11670): adapters generated from a prototype per task, with a routing function between the halves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from vlrouting.bottleneck.base import RoutingTrace, Site, shared
from vlrouting.bottleneck.context import ForwardContext
from vlrouting.bottleneck.families import generates_with
from vlrouting.bottleneck.hypernetwork import Generated, GeneratedLinear, HyperNetwork
from vlrouting.bottleneck.layers import LowRankBottleneck
from vlrouting.bottleneck.projections import projection_widths
from vlrouting.bottleneck.sub_layer import SubLayerInput, install_beside
from vlrouting.bottleneck.targets import Target, parallel_targets, projection_targets
from vlrouting.bottleneck.task_choice import TaskChoice, require_decoder
from vlrouting.config import BottleneckConfig
from vlrouting.config.kinds.proto_hyper import ProtoHyperConfig

_Made = TypeVar("_Made")


class ProtoHyper(LowRankBottleneck):
    """sub-layer(x) + relu(route(x D_τ + b_d)) U_τ + b_u, where x is what the sub-layer reads and τ the task. One head
    of the hypernetwork generates D_τ (D, R) and b_d, another U_τ (R, D') and b_u, once per pass and task.

    In training τ is the batch's task. Outside of it that is so with `inference: task`, as in the authors' code
    (github.com/Bumble666/PHA); with `inference: retrieval` each row has the task whose prototype is nearest to it.

    The authors' code generates a copy of the weights for each row, and adds the contrastive losses only beside label
    smoothing; here neither is so. The decoder adapters that it trains without using them are not there.

    The update is not zero at the start, but small: see `hypernetwork.START`.

    Attributes:
        layer: (P,), the trained embedding of this layer.
        hypernetwork: of all targets.
        choice: of all targets; says which task each row has.
    """

    config: ProtoHyperConfig
    down: GeneratedLinear
    image_down: GeneratedLinear | None  # type: ignore[assignment]
    up: GeneratedLinear

    def __init__(self, config: ProtoHyperConfig, site: Site) -> None:
        inputs, outputs = projection_widths(site.base_layers[0])[0], projection_widths(site.base_layers[-1])[1]
        super().__init__(config, site, input_width=inputs, outputs=(outputs,), bias=True, activation=nn.ReLU())
        self.hypernetwork = self._shared_hypernetwork(site)
        self.layer = nn.Parameter(torch.randn(config.prototype_width))
        is_first = "choice" not in site.over_targets
        make = partial(TaskChoice, site, config, self.hypernetwork)
        self.choice: TaskChoice = shared(site.over_targets, "choice", make)
        if self.choice.retriever is not None and config.query == "text":
            require_decoder(site)
        # A list until `install`: as an attribute, the model would become a part of the bottleneck.
        self._observed = [site.model] if is_first else []
        self._sub_layer_input = SubLayerInput()

    @classmethod
    def find_targets(cls, model: nn.Module, config: BottleneckConfig) -> list[Target]:
        """See `Bottleneck`. A role or pattern names the last module of a sub-layer; any other projection is spanned
        alone. Default: see `ProtoHyperConfig`."""
        names = [target.name for target in projection_targets(model, config.targets or ("down",), config.layers)]
        if config.targets is None and getattr(getattr(model, "config", None), "is_encoder_decoder", False):
            names = [name for name in names if generates_with(model, name)]
        return parallel_targets(model, config.layers, targets=names, shared=False)

    def make_down(self, site: Site, inputs: int, rows: int, bias: bool) -> GeneratedLinear:
        """See `LowRankBottleneck`. The second one is the image's own."""
        name = "image_down" if hasattr(self, "down") else "down"
        return GeneratedLinear(self._shared_hypernetwork(site).head(name, inputs, rows))

    def make_up(self, site: Site, outputs: tuple[int, ...], bias: bool) -> GeneratedLinear:
        """See `LowRankBottleneck`."""
        return GeneratedLinear(self._shared_hypernetwork(site).head("up", self.config.rank, sum(outputs)))

    def _shared_hypernetwork(self, site: Site) -> HyperNetwork:
        make = partial(HyperNetwork, len(site.tasks), self.config.prototype_width, self.config.hidden)
        return shared(site.over_targets, "hypernetwork", make)

    def install(self, base_layers: Sequence[nn.Module]) -> list[RemovableHandle]:
        """Add to what the sub-layer gives, and let the retriever read its queries."""
        handles = install_beside(base_layers, self._on_input, self._on_output)
        while self._observed:  # of one of those that share the choice
            handles += self.choice.observe(self._observed.pop())
        return handles

    def update(self, x: Tensor) -> Tensor:
        """See `LowRankBottleneck`."""
        with self._generated(len(x)):
            return super().update(x)

    def trace(self, projected: Tensor) -> RoutingTrace:
        """See `Bottleneck`."""
        with self._generated(len(projected)):
            return super().trace(projected)

    def project_image(self, visual: Tensor) -> Tensor:
        """See `Bottleneck`: as it is, since its projection may not be known before the encoder has run."""
        return visual

    def routed_image(self, context: ForwardContext, rows: int) -> tuple[Tensor, Tensor | None]:
        """See `LowRankBottleneck`."""
        visual, mask = super().routed_image(context, rows)
        if self.config.place == "after_up":
            return visual, mask
        projection = self.image_down or self.down
        return self._once("image", rows, lambda: projection.forward(visual.to(self.dtype))), mask

    def auxiliary_loss(self) -> Tensor | None:
        """Both contrastive losses times `contrast`, from the first bottleneck that is asked."""
        return self.choice.loss()

    @contextmanager
    def _generated(self, rows: int) -> Iterator[None]:
        """The projections have the weights of the rows' tasks inside the block."""
        projections = [each for each in (self.down, self.image_down, self.up) if each is not None]

        def generate() -> list[Generated]:
            prototypes, order = self.choice.prototypes_of(rows)
            features = self.hypernetwork(self.layer, prototypes)  # (N, P)
            return [projection.head(features, order) for projection in projections]

        with ExitStack() as stack:
            for projection, generated in zip(projections, self._once("weights", rows, generate), strict=True):
                stack.enter_context(projection.using(generated))
            yield

    def _once(self, what: str, rows: int, make: Callable[[], _Made]) -> _Made:
        """What `make` gives, kept from one token of a generated text to the next. Where there are gradients it is made
        inside the block: when activation checkpointing computes the block again, it must do the same."""
        context = self.slot.current
        if context is None or torch.is_grad_enabled():
            return make()
        state = (rows, self.training, self.choice.encoded, *(parameter._version for parameter in self.parameters()))
        key = f"{self.key} {what}"
        if context.kept.get(key, (None,))[0] != state:
            context.kept[key] = state, make()
        made: _Made = context.kept[key][1]
        return made

    # Methods rather than closures: a deep copy of the model then calls its own bottleneck.
    def _on_input(self, _entry: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self._sub_layer_input.tensor = inputs[0]

    def _on_output(self, _last: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        return output + self.update(self._sub_layer_input.take()).to(output.dtype)
