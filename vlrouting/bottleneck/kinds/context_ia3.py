"""Context-PEFT's IA3 (arXiv 2312.08900): scales for each modality."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vlrouting.bottleneck.base import Site
from vlrouting.bottleneck.kinds.ia3 import IA3
from vlrouting.bottleneck.targets import Target
from vlrouting.bottleneck.token_contexts import (
    TokenContexts,
    refuse_merging,
    targets_with_contexts,
    with_contexts_met,
)
from vlrouting.config import BottleneckConfig
from vlrouting.config.kinds.context_ia3 import ContextIa3Config


class ContextIA3(IA3):
    """Π_c (1 + m_c · l_c) ⊙ base(x) on the output of a projection; base(Π_c (1 + m_c · l_c) ⊙ x) on the input of the
    MLP's down-projection, over the contexts c: image, text, all.

    m_c is 1 for the tokens of the context and 0 for others. The vectors l_c start at 0, so that step 0 equals the
    frozen model. With the context `all` alone it is IA3 with the scale 1 + l. It costs one product per channel and
    token, as IA3 does.

    Attributes:
        scale: l, (contexts, Σ columns) for outputs, (contexts, D) for inputs.
    """

    def __init__(self, config: ContextIa3Config, site: Site) -> None:
        super().__init__(with_contexts_met(config, site), site)
        self.contexts = TokenContexts(self)
        self.scale = nn.Parameter(torch.zeros(len(self.contexts.names), len(self.columns)))

    @classmethod
    def find_targets(cls, model: nn.Module, config: BottleneckConfig) -> list[Target]:
        """See `IA3`; of the blocks that read a token of a context."""
        assert isinstance(config, ContextIa3Config)
        return targets_with_contexts(model, config, super().find_targets(model, config))

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, D) -> (B, T, D), with the scaled columns."""
        gate = self.contexts.per_token(1 + self.scale, x, torch.mul, start=1.0).to(x.dtype)
        if gate.shape[-1] == x.shape[-1]:
            return x * gate
        return x.index_copy(-1, self.columns, x.index_select(-1, self.columns) * gate)

    def check_mergeable(self) -> None:
        """See `Bottleneck`."""
        refuse_merging(self)
