"""Context-PEFT's BitFit (arXiv 2312.08900): biases for each modality."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from vlrouting.bottleneck.base import Bottleneck, Site
from vlrouting.bottleneck.families import ROLES
from vlrouting.bottleneck.projections import projection_widths
from vlrouting.bottleneck.targets import Target, projection_targets
from vlrouting.bottleneck.token_contexts import (
    TokenContexts,
    refuse_merging,
    targets_with_contexts,
    with_contexts_met,
)
from vlrouting.config import BottleneckConfig
from vlrouting.config.kinds.context_bitfit import ContextBitFitConfig


class ContextBitFit(Bottleneck):
    """base(x) + Σ_c m_c · b_c, over the contexts c: image, text, all.

    m_c is 1 for the tokens of the context and 0 for others. The vectors b_c start at 0, so that step 0 equals the
    frozen model; the model's own biases stay frozen. It costs one sum per channel and token.

    Attributes:
        bias: b, (contexts, Σ columns).
    """

    columns: Tensor

    def __init__(self, config: ContextBitFitConfig, site: Site) -> None:
        super().__init__(with_contexts_met(config, site), site)
        self.contexts = TokenContexts(self)
        groups = site.target.columns or (range(projection_widths(site.base_layers[0])[1]),)
        columns = torch.tensor([column for group in groups for column in group])
        self.register_buffer("columns", columns, persistent=False)
        self.bias = nn.Parameter(torch.zeros(len(self.contexts.names), len(columns)))

    @classmethod
    def find_targets(cls, model: nn.Module, config: BottleneckConfig) -> list[Target]:
        """See `Bottleneck`. Default: all projections of attention and MLP in the blocks that read a token of a
        context."""
        assert isinstance(config, ContextBitFitConfig)
        return targets_with_contexts(model, config, projection_targets(model, config.targets or ROLES, config.layers))

    def install(self, base_layers: Sequence[nn.Module]) -> list[RemovableHandle]:
        """Add the biases to the output of the base layer."""
        return [base_layers[0].register_forward_hook(self._on_output)]

    def forward(self, output: Tensor) -> Tensor:
        """base(x) (B, T, D) -> (B, T, D)."""
        bias = self.contexts.per_token(self.bias, output).to(output.dtype)
        if bias.shape[-1] == output.shape[-1]:
            return output + bias
        return output.index_add(-1, self.columns, bias.expand(*output.shape[:-1], -1))

    # A method rather than a closure: a deep copy of the model then calls its own bottleneck.
    def _on_output(self, _base_layer: nn.Module, _inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        biased: Tensor = self(output)
        return biased

    def check_mergeable(self) -> None:
        """See `Bottleneck`."""
        refuse_merging(self)
