"""A model with bottlenecks: shows them the image, saves them, merges them, takes them out again."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle
from transformers.activations import ACT2FN

from vlrouting.bottleneck.activation_checkpointing import carry_context, drop_context
from vlrouting.bottleneck.artifact import write_artifact
from vlrouting.bottleneck.context import ContextSlot, VisualContext
from vlrouting.bottleneck.kinds.adapter import Adapter
from vlrouting.bottleneck.kinds.lora import LoRA, projection_widths
from vlrouting.bottleneck.layers import Bottleneck
from vlrouting.bottleneck.targets import Place, block_of
from vlrouting.config import BottleneckConfig

CHILD = "bottleneck"
"""Name under which a bottleneck is registered on its module, so that `model.parameters()` holds it."""


class Routed:
    """A frozen model and the bottlenecks that were attached to it.

    Attributes:
        model: the model, changed in place.
        config: the bottlenecks' configuration.
        bottlenecks: module name -> bottleneck, in model order; each has `.down` and `.up`.
        visual_width: width D of the visual features that `look_at` takes.
    """

    def __init__(self, model: nn.Module, config: BottleneckConfig, visual_width: int) -> None:
        self.model, self.config, self.visual_width = model, config, visual_width
        self.bottlenecks: dict[str, Bottleneck] = {}
        self._slot = ContextSlot()
        self._handles: list[RemovableHandle] = [model.register_forward_pre_hook(self._begin_forward)]
        self._norms_before: dict[str, Tensor] = {}
        self._required_grad = [name for name, p in model.named_parameters() if p.requires_grad]

    @property
    def trained_parameters(self) -> int:
        """How many numbers train: bottlenecks and, with `train_layer_norm`, the blocks' norms."""
        return sum(parameter.numel() for parameter in self.model.parameters() if parameter.requires_grad)

    @contextmanager
    def look_at(self, visual: Tensor) -> Iterator[VisualContext]:
        """Every bottleneck reads this image until the end of the block.

        Args:
            visual: (B, V, D), one image per row of the batch that the model will get.

        Raises:
            ValueError: not of that shape.
        """
        if visual.dim() != 3 or visual.shape[-1] != self.visual_width:
            raise ValueError(
                f"look_at takes visual features (B, V, {self.visual_width}), not {tuple(visual.shape)}; "
                "project them to the width of the language model first"
            )
        carry_context(self.model, self._slot)
        context = VisualContext(visual, self.bottlenecks)
        with self._slot.holding(context):
            yield context

    def save(self, directory: str | Path) -> None:
        """Write the bottlenecks and trained norms; `vlrouting.bottleneck.load` reads them."""
        backbone = getattr(self.model, "config", None)
        config = {
            "backbone": {
                "name": getattr(backbone, "_name_or_path", "") or type(self.model).__name__,
                "revision": getattr(backbone, "_commit_hash", None),
            },
            "bottleneck": dataclasses.asdict(self.config),
            "visual_width": self.visual_width,
        }
        write_artifact(Path(directory), self.model, config)

    def detach(self) -> nn.Module:
        """Take the bottlenecks out and give the model back as it was before `attach`, trained norms included."""
        with torch.no_grad():
            for name, before in self._norms_before.items():
                self.model.get_parameter(name).copy_(before)
        self._remove_bottlenecks()
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(name in set(self._required_grad))
        return self.model

    def merge(self) -> nn.Module:
        """Fold plain LoRA into the frozen weights and give the model back without bottlenecks; trained norms stay.

        Raises:
            ValueError: a routed bottleneck or an adapter, which no weight can stand for. Nothing is changed then.
        """
        if self.config.kind != "lora":
            raise ValueError("an adapter is not linear and cannot be merged; only kind: lora with routing: none can")
        if self.config.routed:
            first = next(iter(self.bottlenecks))
            raise ValueError(
                f"{first}: routing '{self.config.routing}' depends on the image and cannot be merged; "
                "only routing: none can"
            )
        for name, bottleneck in self.bottlenecks.items():
            assert isinstance(bottleneck, LoRA)
            bottleneck.merge_into(self.model.get_submodule(name))
        self._remove_bottlenecks()
        return self.model

    def _remove_bottlenecks(self) -> None:
        for handle in self._handles:
            handle.remove()
        for name in self.bottlenecks:
            delattr(self.model.get_submodule(name), CHILD)
        drop_context(self.model)
        self.bottlenecks, self._handles = {}, []

    def _begin_forward(self, _model: nn.Module, _inputs: Any) -> None:
        if self._slot.current is not None:
            self._slot.current.begin_forward()

    def add(self, place: Place) -> None:
        """Put one bottleneck in; `attach` calls this for every place."""
        owner = self.model.get_submodule(place.name)
        first_host = self.model.get_submodule(place.hosts[0])
        if self.config.kind == "lora":
            lora = LoRA(place.name, self.config, first_host, place.columns, self.visual_width, self._slot)
            self._handles.append(lora.install(first_host))
            bottleneck: Bottleneck = lora
        else:
            width = _width(place.hosts[0], first_host, after=self.config.position != "pre_norm")
            activation = ACT2FN[_activation_name(self.model)]
            adapter = Adapter(place.name, self.config, width, self.visual_width, self._slot, activation)
            self._handles += adapter.install([self.model.get_submodule(host) for host in place.hosts])
            bottleneck = adapter
        reference = next(first_host.parameters())
        bottleneck.to(reference.device)
        bottleneck.train(owner.training)
        owner.add_module(CHILD, bottleneck)
        self.bottlenecks[place.name] = bottleneck

    def free_norms(self) -> None:
        """Let the norms train that lie in a block with a bottleneck."""
        blocks = {block_of(name)[0] for name in self.bottlenecks} - {""}
        for name, module in self.model.named_modules():
            if type(module).__name__.endswith("Norm") and block_of(name)[0] in blocks:
                for key, parameter in module.named_parameters(recurse=False):
                    parameter.requires_grad_(True)
                    self._norms_before[f"{name}.{key}"] = parameter.detach().clone()


def _width(name: str, host: nn.Module, after: bool) -> int:
    """Width of what goes into the host, or comes out of it."""
    try:
        return projection_widths(host)[1 if after else 0]
    except TypeError:
        parameter = next(host.parameters(), None)
        if parameter is None or parameter.dim() != 1:
            raise ValueError(
                f"{name}: an adapter goes onto a Linear, a Conv1D or a norm, not {type(host).__name__}"
            ) from None
        return parameter.numel()  # a norm


def _activation_name(model: nn.Module) -> str:
    """The model's own activation, by the name that its configuration gives it."""
    config = model.config
    for key in ("hidden_act", "activation_function", "dense_act_fn"):
        if isinstance(getattr(config, key, None), str):
            return str(getattr(config, key))
    raise ValueError(f"{type(model).__name__}: the configuration names no activation for the adapters")
