"""VL-PET's granularity-controlled adapter (arXiv 2308.09804) with a routing function in it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle
from transformers.activations import ACT2FN

from vlrouting.bottleneck.base import Site
from vlrouting.bottleneck.context import PADDING
from vlrouting.bottleneck.families import generates_with
from vlrouting.bottleneck.layers import GroupedLinear, LowRankBottleneck
from vlrouting.bottleneck.projections import projection_widths
from vlrouting.bottleneck.sub_layer import SubLayerInput, install_beside
from vlrouting.bottleneck.targets import Target, parallel_targets
from vlrouting.config import BottleneckConfig, VlPetConfig

GATE_STD = 0.02
"""Of the gates' weights at the start: BART's, which the authors' code applies to them."""


class VLPet(LowRankBottleneck):
    """G ⊙ y with y = h + up(gelu(route(down(h), down(v)))), where h is what a sub-layer gives and x what it reads.

    `granularity` chooses the gate G, as in the authors' code (github.com/HenryHZY/VL-PET, `BartEncoderLayer`):

    - `large`: sigmoid(W₂ gelu(W₁ x + b₁) + b₂), (B, T, D);
    - `middleX`: sigmoid(w · (x + y) + b), (B, T, 1);
    - `middleY`: 1 + g with a vector g, (D,);
    - `small`: mean over the tokens of sigmoid(w · [x; y] + b), (B, 1, 1). Padding is left out where the forward pass
      knows it; the authors' mean has it. A decoder generates one token after the other, so it is refused there.

    Their down-projection has several heads, whose outputs stand side by side: that is one Linear. `up` starts at zero,
    and g too, so with `middleY` step 0 equals the frozen model; the other gates start near ½, as published. In BART x
    is also what the sub-layer's residual connection adds; in a model with the norm first, x is what follows the norm.

    The decoders of VL-PET have an adapter parallel to the value projection of cross-attention: `kind: adapter,
    position: parallel, scale: 1, targets: [decoder.layers.*.encoder_attn.v_proj]` under `bottlenecks`.

    Attributes:
        gate: `large`: two Linears; `middleX` and `small`: a Linear with one output. None with `middleY`.
        channels: g, with `middleY`; else None.
    """

    config: VlPetConfig
    up: GroupedLinear

    def __init__(self, config: VlPetConfig, site: Site) -> None:
        width = projection_widths(site.base_layers[-1])[1]
        super().__init__(config, site, input_width=width, outputs=(width,), bias=True, activation=ACT2FN["gelu_new"])
        self.up.reset_parameters(zero=True)
        inputs = projection_widths(site.base_layers[0])[0]
        if config.granularity == "middleX" and inputs != width:
            raise ValueError(
                f"{self.key}: granularity: middleX adds what is read ({inputs} features) to what is given ({width}); "
                "choose another granularity, or the last module of a sub-layer"
            )
        self.gate = _gate(config, inputs, width)
        self.channels = nn.Parameter(torch.zeros(width)) if config.granularity == "middleY" else None
        self._sub_layer_input = SubLayerInput()
        if config.granularity == "small" and generates_with(site.model, site.target.name):
            raise ValueError(
                f"{self.key}: granularity: small takes a mean over all tokens, of which a decoder generates one after "
                "the other; choose another granularity, or targets in the encoder"
            )

    @classmethod
    def find_targets(cls, model: nn.Module, config: BottleneckConfig) -> list[Target]:
        """See `Bottleneck`. Default: all sub-layers. A pattern names the last module of a sub-layer."""
        return parallel_targets(model, config.layers, targets=config.targets, shared=False)

    def install(self, base_layers: Sequence[nn.Module]) -> list[RemovableHandle]:
        """Read what the sub-layer reads, change what it gives."""
        return install_beside(base_layers, self._on_input, self._on_output)

    def forward(self, x: Tensor, h: Tensor) -> Tensor:
        """What the sub-layer reads (B, T, D) and what it gives (B, T, D) -> (B, T, D)."""
        y = h.to(self.dtype) + self.update(h)
        return (self._gate(x.to(self.dtype), y) * y).to(h.dtype)

    def _gate(self, x: Tensor, y: Tensor) -> Tensor:
        if self.gate is None:
            assert self.channels is not None
            return 1 + self.channels
        if self.config.granularity == "large":
            return torch.sigmoid(self.gate(x))
        if self.config.granularity == "middleX":
            return torch.sigmoid(self.gate(x + y))
        per_token = torch.sigmoid(self.gate(torch.cat([x, y], dim=-1)))  # (B, T, 1)
        real = self._real_tokens(*per_token.shape[:2])
        if real is None:
            return per_token.mean(dim=1, keepdim=True)
        return (per_token * real).sum(dim=1, keepdim=True) / real.sum(dim=1, keepdim=True).clamp(min=1)

    def _real_tokens(self, rows: int, tokens: int) -> Tensor | None:
        """(B, T, 1), 0 on padding; None where that is not known."""
        context = self.slot.current
        modality = None if context is None else context.modality_for(rows, tokens)
        return None if modality is None else (modality != PADDING).to(self.dtype).unsqueeze(-1)

    # Methods rather than closures: a deep copy of the model then calls its own bottleneck.
    def _on_input(self, _entry: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self._sub_layer_input.tensor = inputs[0]

    def _on_output(self, _last: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        gated: Tensor = self(self._sub_layer_input.take(), output)
        return gated


def _gate(config: VlPetConfig, inputs: int, width: int) -> nn.Module | None:
    if config.granularity == "middleY":
        return None
    if config.granularity == "large":
        inner = config.gate_rank or config.rank
        gate: nn.Module = nn.Sequential(nn.Linear(inputs, inner), ACT2FN["gelu_new"], nn.Linear(inner, width))
    else:
        gate = nn.Linear(width if config.granularity == "middleX" else inputs + width, 1)
    for parameter in gate.parameters():
        nn.init.normal_(parameter, std=GATE_STD) if parameter.dim() > 1 else nn.init.zeros_(parameter)
    return gate
